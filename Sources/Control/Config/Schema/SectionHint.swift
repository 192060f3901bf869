/// What to write where a mapping belongs and something else stands.
enum SectionHint: Sendable {
    /// Its keys; it is always there.
    case pairs
    /// Its keys or `off`; some key has no default.
    case keys
    /// `{}` or `off`.
    case defaults
    /// It is always there, and whoever writes `off` means this.
    case insteadOfOff(String)

    func text(for node: ConfigNode) -> String {
        guard case .scalar(let word, _) = node.content else { return "write 'key: value' pairs" }
        switch self {
        case .defaults where Self.switches.contains(word.lowercased()): return "write {} for the defaults, or off"
        case .keys where Self.switches.contains(word.lowercased()): return "write 'key: value' pairs, or off"
        case .insteadOfOff(let hint) where word == "off": return hint
        case .pairs, .keys, .defaults, .insteadOfOff: return "write 'key: value' pairs"
        }
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
