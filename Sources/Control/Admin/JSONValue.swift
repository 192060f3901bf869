import Policy

/// A JSON text under construction: keys keep the order in which they are written, for people who read it with curl.
enum JSONValue: ExpressibleByStringLiteral, ExpressibleByDictionaryLiteral {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([(key: String, value: JSONValue)])

    init(stringLiteral text: String) {
        self = .string(text)
    }

    init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(elements.map { ($0, $1) })
    }

    static func number(orNull value: Double?) -> JSONValue { value.map { .number($0) } ?? .null }
    static func string(orNull text: String?) -> JSONValue { text.map { .string($0) } ?? .null }

    /// Indented by two spaces, without a line feed at the end (RFC 8259).
    func rendered(indentation: String = "") -> String {
        let inner = indentation + "  "
        switch self {
        case .null: return "null"
        case .bool(let value): return "\(value)"
        case .integer(let value): return "\(value)"
        case .number(let value): return value.isFinite ? "\(value)" : "null"
        case .string(let text): return JSONText.quoted(text)
        case .array(let elements):
            if elements.isEmpty { return "[]" }
            let lines = elements.map { inner + $0.rendered(indentation: inner) }
            return "[\n" + lines.joined(separator: ",\n") + "\n\(indentation)]"
        case .object(let members):
            if members.isEmpty { return "{}" }
            let lines = members.map { "\(inner)\(JSONText.quoted($0.key)): \($0.value.rendered(indentation: inner))" }
            return "{\n" + lines.joined(separator: ",\n") + "\n\(indentation)}"
        }
    }
}
