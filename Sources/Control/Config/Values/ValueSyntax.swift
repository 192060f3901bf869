/// How one kind of value is written in the configuration: parser and renderer side by side, so that what
/// `validate --effective` prints is what the loader reads.
struct ValueSyntax<Value>: Sendable {
    /// With its article, for messages: `a duration`.
    let noun: String
    let parse: @Sendable (String) throws(ValueSyntaxError) -> Value
    /// The YAML text of a value, quoted where it has to be.
    let render: @Sendable (Value) -> String

    init(
        _ noun: String, parse: @escaping @Sendable (String) throws(ValueSyntaxError) -> Value,
        render: @escaping @Sendable (Value) -> String
    ) {
        self.noun = noun
        self.parse = parse
        self.render = render
    }
}

/// Why a text is not the value that it should be.
package struct ValueSyntaxError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Quotes the text and says what is wrong with it: `'5' has no unit`.
    package let message: String
    /// What to write instead.
    package let hint: String?

    /// Whether the hint tells the range that it should be in.
    let isOutOfRange: Bool

    package init(_ message: String, hint: String? = nil) {
        self.init(message, hint: hint, isOutOfRange: false)
    }

    private init(_ message: String, hint: String?, isOutOfRange: Bool) {
        self.message = message
        self.hint = hint
        self.isOutOfRange = isOutOfRange
    }

    /// The text is of the right kind, and too little or too much.
    static func outOfRange(_ text: String, from low: String, to high: String) -> ValueSyntaxError {
        ValueSyntaxError("\(quoted(text)) is out of range", hint: "from \(low) to \(high)", isOutOfRange: true)
    }

    /// The same where a word would have been right too.
    func or(_ word: String) -> ValueSyntaxError {
        guard isOutOfRange, let hint else { return self }
        return ValueSyntaxError(message, hint: "\(hint), or \(word)", isOutOfRange: true)
    }

    package var description: String {
        hint.map { "\(message) (\($0))" } ?? message
    }
}

extension ValueSyntax where Value: RawRepresentable<String> & CaseIterable & Sendable {
    /// One of the raw values of an enumeration.
    static var choice: ValueSyntax {
        let words = Value.allCases.map(\.rawValue)
        return ValueSyntax("one of \(words.joined(separator: ", "))") { (text) throws(ValueSyntaxError) in
            if let value = Value(rawValue: text) { return value }
            let hint = Suggestion.nearest(to: text, among: words).map { "did you mean '\($0)'?" }
            throw ValueSyntaxError("\(quoted(text)) is not one of \(words.joined(separator: ", "))", hint: hint)
        } render: {
            $0.rawValue
        }
    }
}

extension ValueSyntax {
    /// The same values, and `word` for nil.
    func orNil(_ word: String) -> ValueSyntax<Value?> {
        ValueSyntax<Value?>("\(noun) or '\(word)'") { (text) throws(ValueSyntaxError) in
            if text == word { return nil }
            do throws(ValueSyntaxError) {
                return try parse(text)
            } catch {
                throw error.or(word)
            }
        } render: {
            $0.map(render) ?? word
        }
    }
}
