import DNS

/// What makes two sources the same: clusters whose sources have equal keys share one that runs.
enum SourceKey: Hashable, Sendable {
    /// A and AAAA records of a name. Ports are the clusters' affair.
    case addresses(DNSName, isAbsolute: Bool, AnswerRules)
    /// SRV records of a name.
    case services(DNSName, isAbsolute: Bool, AnswerRules)
    case file(path: String, emptyAfter: Duration?)

    /// Nil for a source that does not run: a fixed list, or a name that is none.
    init?(_ source: DiscoverySource, rules: AnswerRules) {
        switch source {
        case .fixed:
            return nil
        case .dns(let text, _):
            guard let name = DNSName(text) else { return nil }
            self = .addresses(name, isAbsolute: text.hasSuffix("."), rules)
        case .srv(let text):
            guard let name = DNSName(text) else { return nil }
            self = .services(name, isAbsolute: text.hasSuffix("."), rules)
        case .file(let path):
            self = .file(path: path, emptyAfter: rules.emptyAfter)
        }
    }
}
