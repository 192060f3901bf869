import DNS

/// How the rules of ``AnswerRules`` are written, in `dns` and in a cluster's `dns` alike.
enum AnswerSyntax {
    static let family: ValueSyntax<AddressFamily> = .choice
    static let truncation: ValueSyntax<TruncationMode> = .choice
    /// A single record cannot tell a cut answer from a whole one.
    static let truncatedAt: ValueSyntax<Int> = .integer(2...1_000)
    static let emptyAfter = ValueSyntax<Duration>.duration(.seconds(1)...(.seconds(7 * 86_400))).orNil("never")
}

/// The keys of a cluster's `dns`.
enum AnswerSchema {
    static let overrides: [Field<AnswerRuleOverrides>] = [
        .optional("family", \.family, AnswerSyntax.family),
        .optional("truncation", \.truncation, AnswerSyntax.truncation),
        .optional("truncated_at", \.truncatedAt, AnswerSyntax.truncatedAt),
        .optional("empty_after", \.emptyAfter, AnswerSyntax.emptyAfter),
    ]
}

extension ValueSyntax<DNSName> {
    /// A search domain.
    static let domain = ValueSyntax("a DNS domain") { (text) throws(ValueSyntaxError) in
        if let name = DNSName(text) { return name }
        throw ValueSyntaxError("\(quoted(text)) is not a DNS domain", hint: "write a list like [demo.local]")
    } render: {
        yamlText($0.description)
    }
}
