/// How the answers to a name's questions are read. A cluster may differ from the rules of `dns`.
package struct AnswerRules: Hashable, Sendable {
    package var family = AddressFamily.both
    package var truncation = TruncationMode.auto
    /// The number of records that an answer cut by its server has: Route 53's multivalue answers hold eight at most.
    package var truncatedAt = 8
    /// How long "there is none" (NXDOMAIN, NODATA) must be heard, in two answers at least, before it is believed and
    /// the endpoints go; nil keeps the last good ones for ever.
    package var emptyAfter: Duration?

    package init() {}
}

/// Which address records are asked for.
package enum AddressFamily: String, Hashable, Sendable, CaseIterable {
    case both, ipv4, ipv6
}

/// When an answer counts as cut, that is, as some of the records only.
package enum TruncationMode: String, Hashable, Sendable, CaseIterable {
    /// When it has exactly ``AnswerRules/truncatedAt`` records.
    case auto
    /// Never: each answer is the whole.
    case never
    /// Always: what is missing from an answer is kept until it has been missed often enough.
    case always
}
