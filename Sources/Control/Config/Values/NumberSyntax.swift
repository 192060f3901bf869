extension ValueSyntax<Int> {
    /// A whole number inside `range`.
    static func integer(_ range: ClosedRange<Int>) -> ValueSyntax {
        ValueSyntax("a whole number") { (text) throws(ValueSyntaxError) in
            guard isWholeNumber(text) else {
                throw ValueSyntaxError("\(quoted(text)) is not a whole number")
            }
            return try value(Int(text), of: text, in: range)
        } render: {
            String($0)
        }
    }

    /// A number of bytes inside `range`: `65536`, `64KiB`, `1MiB`, `1GiB`.
    static func bytes(_ range: ClosedRange<Int>) -> ValueSyntax {
        ValueSyntax("a size in bytes") { (text) throws(ValueSyntaxError) in
            let digits = text.prefix { $0.isASCII && $0.isWholeNumber }
            let unit = text.dropFirst(digits.count)
            guard !digits.isEmpty, let factor = ByteUnit.factor(of: unit) else {
                let isDecimal = ["kb", "mb", "gb", "k", "m", "g"].contains(unit.lowercased()) && !digits.isEmpty
                let binary = "\(digits)\(unit.prefix(1).uppercased())iB"
                let hint = isDecimal ? "did you mean '\(binary)'?" : "write 65536, 64KiB or 1MiB"
                throw ValueSyntaxError("\(quoted(text)) is not a size", hint: hint)
            }
            let product = Int(digits)?.multipliedReportingOverflow(by: factor)
            return try value(product.flatMap { $0.overflow ? nil : $0.partialValue }, of: text, in: range)
        } render: { count in
            guard count != 0, let unit = ByteUnit.all.first(where: { count.isMultiple(of: $0.bytes) }) else {
                return String(count)
            }
            return "\(count / unit.bytes)\(unit.name)"
        }
    }
}

extension ValueSyntax<Double> {
    /// A decimal number from 0 to 1.
    static let ratio = ValueSyntax("a number from 0 to 1") { (text) throws(ValueSyntaxError) in
        // Double's own parser also takes hexadecimal, `inf` and `nan`. An exponent is how it prints small numbers.
        let isDecimal = text.utf8.allSatisfy { "0123456789.e-".utf8.contains($0) }
        guard isDecimal, let value = Double(text), (0...1).contains(value) else {
            throw ValueSyntaxError("\(quoted(text)) is not a number from 0 to 1", hint: hintForPercentage(text))
        }
        return value
    } render: {
        $0.description
    }
}

/// `write 0.7` for `70%`; nil for what is no percentage.
func hintForPercentage(_ text: String) -> String? {
    guard text.hasSuffix("%"), let percentage = Double(text.dropLast()), percentage.isFinite else { return nil }
    return "write \(percentage / 100)"
}

extension ValueSyntax<Bool> {
    /// `true` or `false`; YAML's other words for them are read too.
    static let boolean = ValueSyntax("true or false") { (text) throws(ValueSyntaxError) in
        switch text.lowercased() {
        case "true", "yes", "on": return true
        case "false", "no", "off": return false
        default: throw ValueSyntaxError("\(quoted(text)) is not true or false")
        }
    } render: {
        String($0)
    }
}

private struct ByteUnit {
    let name: String
    let bytes: Int

    static let all = [
        ByteUnit(name: "GiB", bytes: 1 << 30), ByteUnit(name: "MiB", bytes: 1 << 20),
        ByteUnit(name: "KiB", bytes: 1 << 10),
    ]

    static func factor(of name: Substring) -> Int? {
        name.isEmpty || name == "B" ? 1 : all.first { $0.name == name }?.bytes
    }
}

private func isWholeNumber(_ text: String) -> Bool {
    let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
    return !digits.isEmpty && digits.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
}

/// - Parameter value: nil when `text` is a number too large for the machine.
private func value(_ value: Int?, of text: String, in range: ClosedRange<Int>) throws(ValueSyntaxError) -> Int {
    if let value, range.contains(value) { return value }
    throw ValueSyntaxError.outOfRange(text, from: String(range.lowerBound), to: String(range.upperBound))
}
