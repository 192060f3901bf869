import Policy

/// The keys of one cluster.
enum ClusterSchema {
    static let cluster = ElementTable<ClusterRule>(
        sources + connecting + pool + exchanges,
        draft: { Draft(rule: ClusterRule(name: $0, discover: [])) },
        redraft: { Draft(rule: $0) },
        finish: \.rule)

    /// `port` comes first in the table: `discover` is read with it, wherever it stands in the file. Being part of the
    /// URLs then, it is not written.
    private static let sources: [Field<Draft>] = [
        Field("port") { node, place, draft, reading in
            // When it is refused any other keeps the URLs from being refused for the lack of one.
            draft.port = reading.value(of: node, as: .integer(1...65_535), path: place) ?? 1
        } write: { _, _ in
        },
        .values("discover", \.rule.discover, isRequired: true) { .discovery(port: $0.port) },
        .scalar("balance", \.rule.settings.balance, .choice),
    ]

    private static let connecting: [Field<Draft>] = [
        .scalar("connect_timeout", \.rule.settings.connectTimeout, .wait),
        .scalar("connect_backoff", \.rule.settings.connectBackoff, .wait),
        .scalar("connect_backoff_max", \.rule.settings.connectBackoffMax, .wait),
        .scalar("settings_timeout", \.rule.settings.settingsTimeout, .wait),
        .scalar("max_connect_attempts", \.rule.settings.maxConnectAttempts, .integer(1...100)),
        .scalar("max_refused_attempts", \.rule.settings.maxRefusedAttempts, .integer(1...100)),
    ]

    private static let pool: [Field<Draft>] = [
        .scalar("max_streams_per_connection", \.rule.settings.maxStreamsPerConnection, .integer(1...1_000_000)),
        .scalar("max_connections_per_endpoint", \.rule.settings.maxConnectionsPerEndpoint, .integer(1...10_000)),
        .scalar("max_pending", \.rule.settings.maxPendingStreams, .integer(0...10_000_000)),
        .scalar("pending_timeout", \.rule.settings.pendingTimeout, .waitOrNone),
        .scalar("no_endpoint_wait", \.rule.settings.noEndpointWait, .waitOrNone),
        .group(
            "keepalive",
            [
                .scalar("interval", \.rule.settings.keepaliveInterval, .age),
                .scalar("timeout", \.rule.settings.keepaliveTimeout, .wait),
            ]),
        .scalar("idle_timeout", \.rule.settings.idleTimeout, .age),
    ]

    private static let exchanges: [Field<Draft>] = [
        .scalar("replay_buffer", \.rule.settings.replayBufferBytes, .bytes(0...(64 * 1024 * 1024))),
        .scalar("timeout", \.rule.settings.timeout, ValueSyntax<Duration>.age.orNil("off")),
        .section("limits", \.rule.settings.limits, LimitsSchema.fields),
    ]

    /// A cluster and the port that its URLs may leave out.
    private struct Draft: Sendable {
        var rule: ClusterRule
        var port: Int?
    }
}

extension ValueSyntax<DiscoverySource> {
    /// - Parameter port: for URLs that name none.
    static func discovery(port: Int?) -> ValueSyntax {
        ValueSyntax("a discovery URL") { (text) throws(ValueSyntaxError) in
            try DiscoverySource(parsing: text, defaultPort: port)
        } render: {
            yamlText($0.description)
        }
    }
}

extension ValueSyntax<Duration> {
    /// Zero does not wait at all.
    static let waitOrNone = duration(.zero...(.seconds(3_600)))
}
