/// A value of the file with its place: what ``YAMLComposer`` makes and the schema reads.
struct ConfigNode: Sendable {
    var content: Content
    var position: SourcePosition
    /// Alias expansions in this value, nested ones counted each time they appear.
    var aliasExpansions = 0

    enum Content: Sendable {
        /// - Parameter isPlain: written without quotes.
        case scalar(String, isPlain: Bool)
        case sequence([ConfigNode])
        /// In the order of the file; keys are unique.
        case mapping([Entry])
    }

    /// A key of a mapping and its value.
    struct Entry: Sendable {
        var key: String
        var keyPosition: SourcePosition
        var value: ConfigNode
    }

    /// Whether this is YAML's null: nothing, `~` or `null`, unquoted.
    var isNull: Bool {
        guard case .scalar(let text, isPlain: true) = content else { return false }
        return text.isEmpty || text == "~" || text == "null"
    }

    /// What kind of value this is, for messages.
    var noun: String {
        switch content {
        case .scalar: isNull ? "nothing" : "a single value"
        case .sequence: "a list"
        case .mapping: "a mapping"
        }
    }
}
