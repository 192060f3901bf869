/// One thing that is wrong (or doubtful) in a configuration: where, what, and what to do about it.
package struct Diagnostic: Sendable, Equatable {
    package enum Severity: String, Sendable {
        case error
        case warning
    }

    package var severity: Severity
    /// The file, or the flag or environment variable that the value came from.
    package var origin: String
    /// Nil when the whole file is meant, and for flags.
    package var position: SourcePosition?
    package var message: String
    /// What to do, without the parentheses around it: `did you mean 'listen'?`.
    package var hint: String?
    /// The offending line, when there is one.
    package var excerpt: SourceExcerpt?

    package init(
        _ severity: Severity = .error, origin: String, position: SourcePosition? = nil, message: String,
        hint: String? = nil, excerpt: SourceExcerpt? = nil
    ) {
        self.severity = severity
        self.origin = origin
        self.position = position
        self.message = message
        self.hint = hint
        self.excerpt = excerpt
    }

    /// `file:line:column: message (hint)` on one line, for logs and pages.
    package var summary: String {
        let place = position.map { ":\($0.line):\($0.column)" } ?? ""
        return "\(printable(origin))\(place): \(message)" + (hint.map { " (\($0))" } ?? "")
    }

    /// The form that compilers print: `file:line:column: error: message (hint)`, then the line and a caret.
    ///
    /// Ends without a newline. What came from the file is shown without control characters.
    /// - Parameter color: whether ANSI escapes may be used, that is, whether a terminal reads it.
    package func rendered(color: Bool) -> String {
        let bold = color ? "\u{1B}[1m" : ""
        let tint = color ? (severity == .error ? "\u{1B}[1;31m" : "\u{1B}[1;35m") : ""
        let caretTint = color ? "\u{1B}[1;32m" : ""
        let reset = color ? "\u{1B}[0m" : ""

        var place = printable(origin)
        if let position { place += ":\(position.line):\(position.column)" }
        let advice = hint.map { " (\($0))" } ?? ""
        var text = "\(bold)\(place):\(reset) \(tint)\(severity.rawValue):\(reset) \(bold)\(message)\(reset)\(advice)"
        if let excerpt {
            text += "\n\(excerpt.line)\n\(excerpt.padding)\(caretTint)^\(reset)"
        }
        return text
    }
}

/// A place in a file. Both count from 1; columns count Unicode scalars.
package struct SourcePosition: Sendable, Hashable, Comparable {
    package var line: Int
    package var column: Int

    package init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    package static func < (left: SourcePosition, right: SourcePosition) -> Bool {
        (left.line, left.column) < (right.line, right.column)
    }
}

/// A line of the source as shown under a message, and what stands before the caret on the next line.
package struct SourceExcerpt: Sendable, Equatable {
    /// Without control characters; a long line is cut to the part around the caret.
    package let line: String
    /// As wide on a terminal as the part of ``line`` before the caret.
    package let padding: String
}

/// A configuration that was refused, with every reason.
package struct InvalidConfiguration: Error, Sendable, Equatable {
    /// In the order of the file; at least one error, and the warnings seen on the way.
    package let diagnostics: [Diagnostic]

    package init(_ diagnostics: [Diagnostic]) {
        self.diagnostics = diagnostics
    }

    /// All diagnostics, each as ``Diagnostic/rendered(color:)``, a line break between them.
    package func rendered(color: Bool) -> String {
        diagnostics.map { $0.rendered(color: color) }.joined(separator: "\n")
    }
}

extension InvalidConfiguration: CustomStringConvertible {
    package var description: String { rendered(color: false) }
}

/// `text` in quotes for a message: control and invisible characters escaped, long text cut.
func quoted(_ text: String) -> String {
    let limit = 80
    let shown = text.unicodeScalars.prefix(limit)
    return "'" + printable(shown) + (shown.endIndex < text.endIndex ? "…'" : "'")
}

/// `text` with what a terminal would act on (controls, direction overrides) written as `\u{1B}`.
func printable(_ text: String) -> String {
    printable(text.unicodeScalars[...])
}

private func printable(_ scalars: some Sequence<Unicode.Scalar>) -> String {
    var result = ""
    for scalar in scalars {
        if isInvisible(scalar) {
            result += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
        } else {
            result.unicodeScalars.append(scalar)
        }
    }
    return result
}

/// Whether a terminal would act on the character instead of showing it.
func isInvisible(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: true
    default: false
    }
}
