/// A strict reader of the Prometheus text format 0.0.4: what `promtool check metrics` refuses is an error here.
struct ExpositionReader {
    struct Family: Equatable {
        var help: String
        var kind: String
        /// By label set, in the order of the text.
        var samples: [Sample] = []
    }

    struct Sample: Equatable {
        var labels: [String: String]
        var value: Double
    }

    struct Malformed: Error, CustomStringConvertible {
        let description: String
    }

    /// In the order of the text.
    private(set) var names: [String] = []
    private(set) var families: [String: Family] = [:]

    init(_ text: String) throws {
        guard text.utf8.last == UInt8(ascii: "\n") else { throw Malformed(description: "no line feed at the end") }
        var help: (name: String, text: String)?
        for line in text.unicodeScalars.dropLast().split(separator: "\n", omittingEmptySubsequences: false) {
            let words = line.split(separator: " ", maxSplits: 3).map { String(Substring($0)) }
            if words.first == "#", words.count == 4, words[1] == "HELP" {
                guard families[words[2]] == nil else { throw Malformed(description: "second HELP for \(words[2])") }
                help = (words[2], try Self.unescaped(words[3], quotes: false))
            } else if words.first == "#", words.count == 4, words[1] == "TYPE" {
                guard let pending = help, pending.name == words[2] else {
                    throw Malformed(description: "TYPE without HELP before it: \(line)")
                }
                guard words[3] == "counter" || words[3] == "gauge" else { throw Malformed(description: "\(line)") }
                guard (words[3] == "counter") == words[2].hasSuffix("_total") else {
                    throw Malformed(description: "counters, and only they, end with _total: \(words[2])")
                }
                names.append(words[2])
                families[words[2]] = Family(help: pending.text, kind: words[3])
                help = nil
            } else {
                try read(sample: String(Substring(line)))
            }
        }
    }

    func value(_ name: String, _ labels: [String: String] = [:]) -> Double? {
        families[name]?.samples.first { $0.labels == labels }?.value
    }

    private mutating func read(sample line: String) throws {
        var rest = line.unicodeScalars[...]
        let name = Self.takeName(&rest, colons: true)
        guard let name, name == names.last else { throw Malformed(description: "outside of its family: \(line)") }
        var labels: [String: String] = [:]
        if rest.first == "{" {
            rest.removeFirst()
            while rest.first != "}" {
                if !labels.isEmpty, rest.popFirst() != "," { throw Malformed(description: "no comma: \(line)") }
                guard let label = Self.takeName(&rest, colons: false), rest.popFirst() == "=", rest.popFirst() == "\""
                else { throw Malformed(description: "no label: \(line)") }
                var value = ""
                while let scalar = rest.popFirst(), scalar != "\"" {
                    value.unicodeScalars.append(scalar)
                    if scalar == "\\", let next = rest.popFirst() { value.unicodeScalars.append(next) }
                }
                guard labels.updateValue(try Self.unescaped(value, quotes: true), forKey: label) == nil else {
                    throw Malformed(description: "label \(label) twice: \(line)")
                }
            }
            rest.removeFirst()
        }
        guard rest.popFirst() == " ", let value = Double(String(Substring(rest))) else {
            throw Malformed(description: "no value: \(line)")
        }
        guard self.value(name, labels) == nil else { throw Malformed(description: "series twice: \(line)") }
        families[name]?.samples.append(Sample(labels: labels, value: value))
    }

    private static func takeName(_ rest: inout Substring.UnicodeScalarView, colons: Bool) -> String? {
        let name = rest.prefix { scalar in
            scalar == "_" || (colons && scalar == ":") || (scalar.isASCII && scalar.properties.isAlphabetic)
                || ("0"..."9").contains(scalar)
        }
        guard let first = name.first, !("0"..."9").contains(first) else { return nil }
        rest = rest[name.endIndex...]
        return String(Substring(name))
    }

    private static func unescaped(_ text: String, quotes: Bool) throws -> String {
        var result = ""
        var isEscaped = false
        for scalar in text.unicodeScalars {
            switch (isEscaped, scalar) {
            case (false, "\\"): isEscaped = true
            case (true, "n"): result += "\n"; isEscaped = false
            case (true, "\\"),
                (true, "\"") where scalar == "\\" || quotes:
                result.unicodeScalars.append(scalar)
                isEscaped = false
            case (true, _): throw Malformed(description: "unknown escape in \(text)")
            case (false, _): result.unicodeScalars.append(scalar)
            }
        }
        guard !isEscaped else { throw Malformed(description: "escape without an end in \(text)") }
        return result
    }
}
