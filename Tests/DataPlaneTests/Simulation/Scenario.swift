import Policy

/// What happens in a run, drawn from its seed.
struct Scenario {
    /// Faults end here, in nanoseconds after the start.
    let calm: Int64
    let hosts: Int
    let callers: Int
    let calls: Int
    let faults: Int
    let listener: ListenerSettings
    let bufferBudget: Int
    let cluster: ClusterSettings
    let plan: RoutePlan

    init(_ chance: Chance) {
        calm = chance.time(300, 3_000)
        hosts = chance.range(1, 4)
        callers = chance.range(1, 3)
        calls = chance.range(1, 12)
        faults = chance.hits(15) ? 0 : chance.range(1, 8)
        listener = Self.drawListener(chance)
        bufferBudget = chance.hits(15) ? 30_000 : 100_000_000
        cluster = Self.drawCluster(chance)
        var again = RouteSettings()
        again.idempotent = .all
        again.retry.conditions = [.connectFailure, .reset, .timeout]
        again.retry.grpcStatuses = chance.hits(50) ? [.unavailable] : []
        if chance.hits(30) { again.perTryTimeout = .milliseconds(chance.range(200, 600)) }
        plan = RoutePlan(again)
    }

    private static func drawListener(_ chance: Chance) -> ListenerSettings {
        var settings = ListenerSettings(name: "mesh", address: .ip(host: "127.0.0.1", port: 0))
        settings.limits.maxConcurrentStreams = chance.pick([1, 3, 100, 100])
        settings.limits.streamWindowBytes = chance.pick([16_384, 65_536, 65_536])
        settings.limits.maxNewStreamsPerTurn = chance.pick([1, 100])
        settings.limits.maxBufferedBytesPerConnection = chance.pick([20_000, 16 << 20])
        settings.limits.streamWriteStall = .milliseconds(chance.pick([1_500, 60_000]))
        settings.limits.connectionWriteStall = .milliseconds(chance.pick([1_000, 30_000]))
        settings.via = chance.hits(30)
        return settings
    }

    /// Another one for each reload.
    static func drawCluster(_ chance: Chance) -> ClusterSettings {
        var settings = ClusterSettings()
        settings.balance = chance.pick([.roundRobin, .leastRequest])
        settings.connectTimeout = .milliseconds(chance.range(50, 1_000))
        settings.connectBackoff = .milliseconds(chance.range(20, 500))
        settings.connectBackoffMax = .milliseconds(chance.range(500, 2_000))
        settings.settingsTimeout = .milliseconds(chance.range(200, 1_500))
        settings.maxStreamsPerConnection = chance.pick([1, 2, 100, 100])
        settings.maxConnectionsPerEndpoint = chance.range(1, 4)
        settings.maxPendingStreams = chance.pick([1, 1_000, 1_000])
        settings.pendingTimeout = .milliseconds(chance.range(50, 1_000))
        settings.noEndpointWait = .milliseconds(chance.pick([0, 500, 2_000]))
        settings.keepaliveInterval = .milliseconds(chance.pick([300, 2_000, 10_000]))
        settings.keepaliveTimeout = .milliseconds(chance.pick([200, 2_000]))
        settings.darkAfter = .milliseconds(chance.pick([200, 1_000]))
        settings.darkTimeout = .milliseconds(chance.pick([600, 3_000]))
        settings.replayBufferBytes = chance.pick([0, 1_000, 65_536, 65_536])
        settings.maxRefusedAttempts = chance.range(0, 3)
        settings.timeout = chance.hits(30) ? .milliseconds(chance.range(100, 2_000)) : nil
        settings.verifyService = chance.hits(15) ? "echo.Echo" : nil
        return settings
    }

    /// Settings under which calls that nothing hinders succeed.
    static func calmCluster(_ settings: ClusterSettings) -> ClusterSettings {
        var settings = settings
        settings.maxPendingStreams = 1_000
        settings.replayBufferBytes = 65_536
        settings.maxStreamsPerConnection = max(settings.maxStreamsPerConnection, 10)
        settings.pendingTimeout = .seconds(1)
        settings.timeout = nil
        return settings
    }
}
