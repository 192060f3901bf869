/// The text format in which Prometheus scrapes metrics, version 0.0.4
/// (prometheus.io/docs/instrumenting/exposition_formats).
package enum PrometheusText {
    /// The `content-type` of what ``write(_:)`` gives.
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// Writes families in the order given, each with its HELP and TYPE once. A family without samples is left out.
    /// - Parameter families: no two of one name.
    package static func write(_ families: [MetricFamily]) -> String {
        var text = ""
        for family in families where !family.samples.isEmpty {
            text += "# HELP \(family.name) \(escapedHelp(family.help))\n"
            text += "# TYPE \(family.name) \(family.kind.rawValue)\n"
            for sample in family.samples {
                text += family.name
                write(sample.labels, to: &text)
                text += " \(number(sample.value))\n"
            }
        }
        return text
    }

    private static func write(_ labels: [(name: String, value: String)], to text: inout String) {
        if labels.isEmpty { return }
        text += "{"
        for (index, label) in labels.enumerated() {
            if index > 0 { text += "," }
            text += "\(label.name)=\"\(escapedLabelValue(label.value))\""
        }
        text += "}"
    }

    /// As Go's `ParseFloat` reads it; whole numbers without a fraction, as far as a double holds them exactly.
    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        let exact = 9_007_199_254_740_992.0
        if value.magnitude < exact, let whole = Int(exactly: value) { return "\(whole)" }
        return "\(value)"
    }

    private static func escapedHelp(_ text: String) -> String {
        escaped(text, quotes: false)
    }

    private static func escapedLabelValue(_ text: String) -> String {
        escaped(text, quotes: true)
    }

    /// Works on scalars: "\r\n" is one character in Swift, and its line feed must not slip through.
    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
