import Policy

extension Duration {
    /// Parses `250ms`, `5s`, `1m30s`, `1h`: whole numbers with `us`, `ms`, `s`, `m` or `h`, larger units first. `0`
    /// needs no unit.
    package init(parsing text: String) throws(ValueSyntaxError) {
        if text == "0" {
            self = .zero
            return
        }
        let form = "write a duration like 250ms, 5s, 1m30s or 1h"
        var rest = text.utf8[...]
        var microseconds: Int64 = 0
        var units = DurationUnit.all[...]
        repeat {
            let digits = rest.prefix { isDigit($0) }
            rest = rest[digits.endIndex...]
            let letters = rest.prefix { !isDigit($0) }
            rest = rest[letters.endIndex...]
            guard !digits.isEmpty else {
                throw ValueSyntaxError("\(quoted(text)) is not a duration", hint: form)
            }
            if letters.isEmpty {
                throw ValueSyntaxError("\(quoted(text)) has no unit", hint: "write \(text)s or \(text)ms")
            }
            guard let position = units.firstIndex(where: { letters.elementsEqual($0.name.utf8) }) else {
                throw ValueSyntaxError("\(quoted(text)) is not a duration", hint: form)
            }
            let unit = units[position]
            units = units[(position + 1)...]
            guard let count = Int64(String(Substring(digits))),
                case let (product, tooLarge) = count.multipliedReportingOverflow(by: unit.microseconds), !tooLarge,
                case let (sum, overflow) = microseconds.addingReportingOverflow(product), !overflow
            else { throw ValueSyntaxError("\(quoted(text)) is too long a time") }
            microseconds = sum
        } while !rest.isEmpty
        self = .microseconds(microseconds)
    }
}

private func isDigit(_ byte: UInt8) -> Bool {
    byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
}

extension ValueSyntax<Duration> {
    /// A duration inside `range`; `off` stands for zero where zero is inside.
    static func duration(_ range: ClosedRange<Duration>) -> ValueSyntax {
        ValueSyntax("a duration") { (text) throws(ValueSyntaxError) in
            if text == "off", range.contains(.zero) { return .zero }
            let value = try Duration(parsing: text)
            if range.contains(value) { return value }
            let (low, high) = (range.lowerBound.configurationText, range.upperBound.configurationText)
            throw ValueSyntaxError.outOfRange(text, from: low, to: high)
        } render: {
            $0.configurationText
        }
    }
}
