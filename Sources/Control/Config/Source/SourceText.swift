/// The text of a configuration file: proven to hold only what YAML allows, with its lines at hand for messages.
struct SourceText: Sendable {
    /// Larger configurations are refused.
    static let maxBytes = 1 << 20
    /// Characters that the text must not contain because ``YAMLComposer`` writes them over others; a private-use plane.
    static let reserved: ClosedRange<UInt32> = 0xF0000...0xF00FF

    /// The name shown in messages.
    let file: String
    /// Without a byte order mark.
    let scalars: [Unicode.Scalar]
    /// Index into ``scalars`` of each line's first character. Lines break where YAML 1.1 breaks them.
    private let lineStarts: [Int]

    /// Reads `bytes` as UTF-8 text.
    /// - Throws: one diagnostic: too large, not UTF-8, or a character that YAML does not allow, with its position.
    /// - Parameter limit: a whole number of MiB.
    init(bytes: [UInt8], file: String, atMost limit: Int = maxBytes) throws(InvalidConfiguration) {
        guard bytes.count <= limit else {
            let message = "the file is larger than \(limit >> 20) MiB, the most that is read"
            throw InvalidConfiguration([Diagnostic(origin: file, message: message)])
        }
        var reading = LineReading(capacity: bytes.count)
        var problem: (position: SourcePosition, message: String)?
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        decoding: while true {
            switch decoder.decode(&iterator) {
            case .emptyInput:
                break decoding
            case .error:
                problem = problem ?? (reading.position, "the file is not UTF-8 here")
                reading.append("\u{FFFD}")
            case .scalarValue("\u{FEFF}") where reading.scalars.isEmpty && !reading.sawMark:
                reading.sawMark = true
            case .scalarValue(let scalar):
                if problem == nil, let complaint = Self.complaint(about: scalar) {
                    problem = (reading.position, complaint)
                }
                reading.append(scalar)
            }
        }
        self.file = file
        self.scalars = reading.scalars
        self.lineStarts = reading.lineStarts
        if let problem {
            throw InvalidConfiguration([
                Diagnostic(
                    origin: file, position: problem.position, message: problem.message,
                    excerpt: excerpt(at: problem.position))
            ])
        }
    }

    /// Where the character at `position` stands in ``scalars``, or nil when the text has no such place.
    func index(of position: SourcePosition) -> Int? {
        guard position.column >= 1, let line = range(ofLine: position.line) else { return nil }
        let index = line.lowerBound + position.column - 1
        return index < line.upperBound ? index : nil
    }

    /// The characters of a line, without its break; nil when the text has no such line.
    func line(_ number: Int) -> ArraySlice<Unicode.Scalar>? {
        range(ofLine: number).map { scalars[$0] }
    }

    /// The line of `position` as it is shown under a message, or nil when the text has no such line.
    func excerpt(at position: SourcePosition) -> SourceExcerpt? {
        guard let line = line(position.line) else { return nil }
        // A file may be one line of a mebibyte: show what is around the caret.
        let width = 120
        let caret = line.startIndex + min(max(position.column - 1, 0), line.count)
        let isLong = line.count > width
        let first = isLong ? max(line.startIndex, caret - width / 2) : line.startIndex
        let last = isLong ? min(line.endIndex, caret + width / 2) : line.endIndex

        var text = first > line.startIndex ? "…" : ""
        var padding = first > line.startIndex ? " " : ""
        for index in first..<last {
            let scalar = line[index]
            let shown: Unicode.Scalar = scalar != "\t" && isInvisible(scalar) ? "\u{FFFD}" : scalar
            text.unicodeScalars.append(shown)
            if index < caret { padding += shown == "\t" ? "\t" : isWide(shown) ? "  " : " " }
        }
        if last < line.endIndex { text += "…" }
        return SourceExcerpt(line: text, padding: padding)
    }

    private func range(ofLine number: Int) -> Range<Int>? {
        guard lineStarts.indices.contains(number - 1) else { return nil }
        let start = lineStarts[number - 1]
        var end = number < lineStarts.count ? lineStarts[number] : scalars.count
        while end > start, isBreak(scalars[end - 1]) { end -= 1 }
        return start..<end
    }

    /// What is wrong with a character, or nil. The set is that of YAML 1.1, 4.1.1.
    private static func complaint(about scalar: Unicode.Scalar) -> String? {
        switch scalar.value {
        case 0x09, 0x0A, 0x0D, 0x20...0x7E, 0x85: nil
        case 0xFEFF: "a byte order mark may only be the first character of the file"
        case Self.reserved: "character U+\(String(scalar.value, radix: 16, uppercase: true)) is not allowed here"
        case 0xA0...0xFFFD, 0x10000...: nil
        default: "control character U+\(paddedHex(scalar.value)) is not allowed"
        }
    }
}

/// Characters so far and where their lines begin.
private struct LineReading {
    var scalars: [Unicode.Scalar] = []
    var lineStarts = [0]
    var sawMark = false

    init(capacity: Int) {
        scalars.reserveCapacity(capacity)
    }

    /// Where the next character goes.
    var position: SourcePosition {
        let start = lineStarts[lineStarts.count - 1]
        return SourcePosition(line: lineStarts.count, column: scalars.count - start + 1)
    }

    mutating func append(_ scalar: Unicode.Scalar) {
        if scalar == "\n", scalars.last == "\r" {
            // CR LF is one break: the line begins after both.
            scalars.append(scalar)
            lineStarts[lineStarts.count - 1] = scalars.count
            return
        }
        scalars.append(scalar)
        if isBreak(scalar) { lineStarts.append(scalars.count) }
    }
}

private func isBreak(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "\n", "\r", "\u{85}", "\u{2028}", "\u{2029}": true
    default: false
    }
}

/// Whether terminals give the character two cells (the common blocks of East Asian Width W and F).
private func isWide(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60,
        0xFFE0...0xFFE6, 0x1F300...0x1FAFF, 0x20000...0x3FFFD:
        true
    default: false
    }
}

private func paddedHex(_ value: UInt32) -> String {
    let digits = String(value, radix: 16, uppercase: true)
    return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
}
