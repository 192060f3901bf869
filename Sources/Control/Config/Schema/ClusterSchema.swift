import Policy

/// The keys of one cluster.
enum ClusterSchema {
    static let cluster = ElementTable<ClusterRule>(
        sources + spreading + connecting + pool + exchanges + resilience,
        draft: { ClusterRule(name: $0, discover: []) },
        redraft: { $0 },
        finish: { $0 })

    /// `port` comes first in the table: `discover` is read with it, wherever it stands in the file.
    private static let sources: [Field<ClusterRule>] = [
        Field("port") { node, place, rule, reading in
            // When it is refused any other keeps the URLs from being refused for the lack of one.
            rule.port = reading.value(of: node, as: .integer(1...65_535), path: place) ?? 1
        } write: { rule, writer in
            if let port = rule.port { writer.pair("port", "\(port)") }
        },
        .values("discover", \.discover, isRequired: true) { .discovery(port: $0.port) },
        .scalar("combine", \.combine, .choice),
        .section("dns", \.answers, AnswerSchema.overrides),
        .scalar("balance", \.settings.balance, .balance),
    ]

    private static let connecting: [Field<ClusterRule>] = [
        .scalar("connect_timeout", \.settings.connectTimeout, .wait),
        .scalar("connect_backoff", \.settings.connectBackoff, .wait),
        .scalar("connect_backoff_max", \.settings.connectBackoffMax, .wait),
        .scalar("settings_timeout", \.settings.settingsTimeout, .wait),
        .scalar("verify_service", \.settings.verifyService, ValueSyntax<String>.grpcService.orNil("off")),
        .scalar("max_connect_attempts", \.settings.maxConnectAttempts, .integer(1...100)),
        .scalar("max_refused_attempts", \.settings.maxRefusedAttempts, .integer(1...100)),
    ]

    private static let pool: [Field<ClusterRule>] = [
        .scalar("max_streams_per_connection", \.settings.maxStreamsPerConnection, .integer(1...1_000_000)),
        .scalar("max_connections_per_endpoint", \.settings.maxConnectionsPerEndpoint, .integer(1...10_000)),
        .scalar("max_pending", \.settings.maxPendingStreams, .integer(0...10_000_000)),
        .scalar("pending_timeout", \.settings.pendingTimeout, .waitOrNone),
        .scalar("no_endpoint_wait", \.settings.noEndpointWait, .waitOrNone),
        .group(
            "keepalive",
            [
                .scalar("interval", \.settings.keepaliveInterval, .age),
                .scalar("timeout", \.settings.keepaliveTimeout, .wait),
            ]),
        .scalar("dark_after", \.settings.darkAfter, .wait),
        .scalar("dark_timeout", \.settings.darkTimeout, .wait),
        .scalar("idle_timeout", \.settings.idleTimeout, .age),
    ]

    private static let exchanges: [Field<ClusterRule>] = [
        .scalar("replay_buffer", \.settings.replayBufferBytes, .bytes(0...(64 * 1024 * 1024))),
        .scalar("timeout", \.settings.timeout, ValueSyntax<Duration>.age.orNil("off")),
        .section("limits", \.settings.limits, LimitsSchema.fields),
    ]
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
