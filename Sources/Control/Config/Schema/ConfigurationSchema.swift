import Policy

/// The keys of the whole configuration.
enum ConfigurationSchema {
    static let fields: [Field<Configuration>] = [
        .scalar("workers", \.workers, ValueSyntax<Int>.integer(1...1_024).orNil("auto")),
        .optionalSection("admin", \.admin, blank: AdminSettings(listen: unread), admin),
        .list("listeners", \.listeners, listener),
        .list("routes", \.routes, RouteSchema.route),
        .named("clusters", \.clusters, name: \.name, ClusterSchema.cluster),
        .section("dns", \.dns, dns),
        .section("drain", \.drain, drain),
        .switchedSection("overload", \.overload, enabled: \.isEnabled, overload),
    ]

    private static let admin: [Field<AdminSettings>] = [
        .scalar("listen", \.listen, .listenAddress, isRequired: true),
        .scalar("allow_remote", \.allowRemote, .boolean),
    ]

    /// A listener without a name is called by its address.
    private static let listener = ElementTable<ListenerSettings>(
        [
            .scalar("name", \.name, .name),
            .scalar("listen", \.address, .listenAddress, isRequired: true),
            .scalar("via", \.via, .boolean),
            .scalar("x_forwarded_for", \.forwardedFor, .choice),
            .scalar("max_connection_age", \.maxConnectionAge, ValueSyntax<Duration>.age.orNil("off")),
            .scalar("connection_age_jitter", \.connectionAgeJitter, .ratio),
            .scalar("max_connection_age_grace", \.maxConnectionAgeGrace, ValueSyntax<Duration>.waitOrNone.orNil("off")),
            .section("limits", \.limits, LimitsSchema.fields),
        ],
        draft: { _ in ListenerSettings(name: "", address: unread) },
        redraft: { $0 },
        finish: { draft in
            var listener = draft
            if listener.name.isEmpty { listener.name = listener.address.description }
            return listener
        })

    private static let dns: [Field<DNSSettings>] = [
        .values("servers", \.servers) { _ in .nameServer },
        .scalar("min_ttl", \.minTTL, .duration(.milliseconds(100)...(.seconds(86_400)))),
        .scalar("max_ttl", \.maxTTL, .duration(.milliseconds(100)...(.seconds(86_400)))),
        .scalar("timeout", \.timeout, .duration(.milliseconds(10)...(.seconds(60)))),
        .scalar("tries", \.tries, .integer(1...10)),
        .scalar("family", \.answers.family, AnswerSyntax.family),
        .scalar("truncation", \.answers.truncation, AnswerSyntax.truncation),
        .scalar("truncated_at", \.answers.truncatedAt, AnswerSyntax.truncatedAt),
        .scalar("empty_after", \.answers.emptyAfter, AnswerSyntax.emptyAfter),
        .values("search", \.search, or: "system", .domain),
        .scalar("ndots", \.ndots, ValueSyntax<Int>.integer(0...15).orNil("system")),
    ]

    private static let drain: [Field<DrainSettings>] = [
        .scalar("delay", \.delay, .duration(.zero...(.seconds(3_600)))),
        .scalar("timeout", \.timeout, .duration(.zero...(.seconds(3_600)))),
    ]

    private static let overload: [Field<OverloadSettings>] = [
        .scalar("max_streams", \.maxStreams, .integer(1...100_000_000)),
        .scalar("max_descriptor_share", \.maxDescriptorShare, .decimal(0.01...1)),
        .scalar("max_buffer_share", \.maxBufferShare, .decimal(0.01...1)),
        .scalar("max_loop_lag", \.maxLoopLag, .wait),
    ]

    /// Stands where a required address is still to be read; a configuration that lacks it is refused.
    private static let unread = ListenAddress.ip(host: "", port: 0)
}
