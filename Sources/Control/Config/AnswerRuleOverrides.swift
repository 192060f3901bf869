/// Where a cluster reads its names' answers otherwise than `dns` says; nil leaves a rule as it is there.
package struct AnswerRuleOverrides: Sendable, Hashable {
    package var family: AddressFamily?
    package var truncation: TruncationMode?
    package var truncatedAt: Int?
    /// Optional twice, since "never" is a rule too: `.some(nil)`.
    package var emptyAfter: Duration??

    package init() {}

    /// The rules that count for the cluster.
    /// - Parameter rules: those of `dns`.
    package func applied(to rules: AnswerRules) -> AnswerRules {
        var result = rules
        if let family { result.family = family }
        if let truncation { result.truncation = truncation }
        if let truncatedAt { result.truncatedAt = truncatedAt }
        if let emptyAfter { result.emptyAfter = emptyAfter }
        return result
    }
}
