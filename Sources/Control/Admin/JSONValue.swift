import Policy

/// A JSON text under construction: keys keep the order in which they are written, for people who read it with curl.
///
/// `Sendable` is written, not inferred: inferring it the compiler (6.3.1) finds, in some orders of files, a "circular
/// reference".
package enum JSONValue: Sendable {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([(key: String, value: JSONValue)])

    /// An object as a literal: `.members(["name": .string("users")])`.
    package static func members(_ members: KeyValuePairs<String, JSONValue>) -> JSONValue {
        .object(members.map { ($0.key, $0.value) })
    }

    package static func number(orNull value: Double?) -> JSONValue { value.map { .number($0) } ?? .null }
    package static func string(orNull text: String?) -> JSONValue { text.map { .string($0) } ?? .null }

    /// Without a line feed at the end (RFC 8259).
    /// - Parameter isCompact: all on one line; else indented by two spaces.
    package func rendered(isCompact: Bool = false) -> String {
        rendered(indentation: isCompact ? nil : "")
    }

    private func rendered(indentation: String?) -> String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .number(let value): value.isFinite ? "\(value)" : "null"
        case .string(let text): JSONText.quoted(text)
        case .array(let elements):
            Self.enclosed(
                "[", elements.map { $0.rendered(indentation: indentation.map { $0 + "  " }) }, "]", indentation)
        case .object(let members):
            Self.enclosed(
                "{",
                members.map {
                    "\(JSONText.quoted($0.key)): \($0.value.rendered(indentation: indentation.map { $0 + "  " }))"
                }, "}", indentation)
        }
    }

    private static func enclosed(_ open: String, _ items: [String], _ close: String, _ indentation: String?) -> String {
        guard !items.isEmpty else { return open + close }
        guard let indentation else { return open + items.joined(separator: ", ") + close }
        return "\(open)\n" + items.map { "\(indentation)  \($0)" }.joined(separator: ",\n") + "\n\(indentation)\(close)"
    }
}
