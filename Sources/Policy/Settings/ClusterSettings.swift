/// How the streams of a cluster are spread and how its endpoints are reached.
package struct ClusterSettings: Sendable, Equatable {
    package var balance: BalancePolicy = .roundRobin
    package var connectTimeout: Duration = .seconds(1)
    /// The pause after a connect failure: `connectBackoff`·2ⁿ, at most `connectBackoffMax`.
    package var connectBackoff: Duration = .seconds(1)
    package var connectBackoffMax: Duration = .seconds(30)
    /// From connect to the task's SETTINGS; a connection that stays silent is given up and its streams go elsewhere.
    package var settingsTimeout: Duration = .seconds(2)
    /// Streams on one connection; the peer's MAX_CONCURRENT_STREAMS counts when it is lower.
    package var maxStreamsPerConnection = 100
    /// Connections to one endpoint from one worker.
    package var maxConnectionsPerEndpoint = 4
    /// Streams of one worker that wait for a slot in this cluster, and how long.
    package var maxPendingStreams = 1_000
    package var pendingTimeout: Duration = .seconds(1)
    /// How long streams wait for the first endpoint while discovery has none; zero fails at once.
    package var noEndpointWait: Duration = .seconds(3)
    /// A connection with streams and no byte from the task for this long is asked by PING.
    package var keepaliveInterval: Duration = .seconds(10)
    /// A PING without an answer for this long: the connection takes no new streams and is closed.
    package var keepaliveTimeout: Duration = .seconds(5)
    /// A connection whose task has acknowledged nothing of what it was sent for this long takes no new streams until
    /// it does again.
    package var darkAfter: Duration = .seconds(1)
    /// And after this long it is given up; its streams end as lost.
    package var darkTimeout: Duration = .seconds(3)
    /// The gRPC service that a task must say it serves (`grpc.health.v1.Health/Check`) before a connection to it takes
    /// streams; nil asks nobody, and an empty name asks for the task as a whole.
    package var verifyService: String?
    /// A connection without streams is closed after this long.
    package var idleTimeout: Duration = .seconds(5 * 60)
    /// Bytes of a request body that are held so that a stream which was certainly not processed can be tried elsewhere.
    package var replayBufferBytes = 65_536
    /// Endpoints tried for one exchange when nothing was processed: connect failures, then refusals. Connect failures
    /// may be more while endpoints are left that nobody failed to reach, for `connectTimeout` times this number.
    package var maxConnectAttempts = 5
    package var maxRefusedAttempts = 2
    /// The deadline of an exchange whose caller sends none; nil for no deadline.
    package var timeout: Duration?
    /// What tasks may do to us.
    package var limits = Limits()
    package var outlier = OutlierSettings()
    /// Nil asks nobody.
    package var healthCheck: HealthCheckSettings?
    package var breakers = CircuitBreakerSettings()
    package var retryBudget = RetryBudgetSettings()
    /// A new endpoint's share of the streams grows to its full one in this time; nil gives it its full share at once.
    package var slowStart: Duration?
    /// When fewer than this share (0...1) of a priority's endpoints are usable, ejections and health checks are not
    /// believed and all count. Zero does so only when there would be nobody left.
    package var panicThreshold = 0.0
    package var hashKey: HashKeySource = .peer
    package var zone: ZonePreference?

    package init() {}
}

/// How the process leaves (SIGTERM).
package struct DrainSettings: Sendable, Equatable {
    /// How long new connections and streams are still taken after readiness turned false.
    package var delay: Duration = .seconds(5)
    /// From the signal to the exit, at most.
    package var timeout: Duration = .seconds(25)

    package init() {}
}
