/// What to write where a mapping belongs and something else stands.
enum SectionHint: Sendable {
    /// Its keys; it is always there.
    case pairs
    /// Its keys or `off`; some key has no default.
    case keys
    /// Its keys or `off`; a single value is meant for this key.
    case keysOr(value: String)
    /// `{}` or `off`.
    case defaults
    /// It is always there, and whoever writes `off` means this.
    case insteadOfOff(String)

    func text(for node: ConfigNode) -> String {
        guard case .scalar(let word, _) = node.content else { return "write 'key: value' pairs" }
        switch self {
        case .defaults where Self.switches.contains(word.lowercased()): return "write {} for the defaults, or off"
        case .keysOr(let key) where !Self.switches.contains(word.lowercased()):
            return "write {\(key): \(Self.flowText(word))}"
        case .keys where Self.switches.contains(word.lowercased()), .keysOr: return "write 'key: value' pairs, or off"
        case .insteadOfOff(let hint) where word == "off": return hint
        case .pairs, .keys, .defaults, .insteadOfOff: return "write 'key: value' pairs"
        }
    }

    /// A value inside of braces, in quotes where YAML would take its characters for its own. A variable stays one.
    private static func flowText(_ word: String) -> String {
        let isPlain = word.allSatisfy { $0.isLetter || $0.isNumber || "_-.".contains($0) }
        return isPlain ? word : "\"\(printable(word))\""
    }

    /// Words that are meant to switch something on or off.
    private static let switches: Set = ["on", "yes", "true", "enabled", "no", "false", "disabled"]
}

extension ConfigurationReading {
    /// Warns that a section that may be absent was begun and left empty: it is off.
    /// - Parameter takesDefaults: whether the section has a default for each key.
    mutating func warnEmpty(_ path: String, at position: SourcePosition, takesDefaults: Bool) {
        let hint = takesDefaults ? "write {} for the defaults, or off" : "give it its keys, or write off"
        log.warning("\(printable(path)) is empty, and so it is off", at: position, hint: hint)
    }

    /// Reports what is wrong with a section as a whole.
    mutating func refuseSection(_ path: String, _ error: ValueSyntaxError, at position: SourcePosition) {
        refuse(path)
        log.error("\(printable(path)) \(error.message)", at: position, hint: error.hint)
    }
}
