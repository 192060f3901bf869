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
    /// Of the routes to the tasks that fail. They outlive reloads, as limits and budgets do.
    let plans: [CallPlan.Route: RoutePlan]
    let limit: RateLimitSettings

    init(_ chance: Chance) {
        calm = chance.time(300, 3_000)
        hosts = chance.range(1, 4)
        callers = chance.range(1, 3)
        calls = chance.range(1, 12)
        faults = chance.hits(15) ? 0 : chance.range(1, 8)
        listener = Self.drawListener(chance)
        bufferBudget = chance.hits(15) ? 30_000 : 100_000_000
        cluster = Self.drawCluster(chance)
        limit = Self.drawLimit(chance)
        var limited = RouteSettings()
        limited.rateLimit = limit
        plans = [
            .busy: .plain, .again: RoutePlan(Self.drawAgain(chance)), .hedged: RoutePlan(Self.drawHedged(chance)),
            .limited: RoutePlan(limited), .faulty: RoutePlan(Self.drawFaulty(chance)),
        ]
    }

    private static func drawAgain(_ chance: Chance) -> RouteSettings {
        var route = RouteSettings()
        route.idempotent = .all
        route.retry.conditions = [.connectFailure, .reset, .timeout]
        route.retry.grpcStatuses = chance.hits(50) ? [.unavailable] : []
        if chance.hits(30) { route.perTryTimeout = .milliseconds(chance.range(200, 600)) }
        if chance.hits(30) { route.subset = ["version": "1"] }
        return route
    }

    private static func drawHedged(_ chance: Chance) -> RouteSettings {
        var route = RouteSettings()
        var hedging = HedgingPolicy()
        hedging.delay = .milliseconds(chance.pick([0, 1, 50, 300]))
        hedging.maxAttempts = chance.range(2, 3)
        hedging.nonFatalStatuses = chance.hits(50) ? [.unavailable, .internal] : []
        route.hedging = hedging
        if chance.hits(30) { route.perTryTimeout = .milliseconds(chance.range(200, 600)) }
        return route
    }

    private static func drawLimit(_ chance: Chance) -> RateLimitSettings {
        var limit = RateLimitSettings()
        limit.requestsPerSecond = Double(chance.pick([1, 3, 20]))
        limit.burst = chance.range(1, 3)
        if chance.hits(30) {
            limit.perCaller = CallerRateLimitSettings()
            limit.perCaller?.maxCallers = chance.range(1, 2)
        }
        return limit
    }

    private static func drawFaulty(_ chance: Chance) -> RouteSettings {
        var fault = FaultPolicy()
        fault.delay = .milliseconds(chance.pick([0, 1, 200]))
        fault.delayShare = chance.pick([0, 0.5, 1])
        fault.abort = chance.pick([.grpc(.unavailable), .http(503)])
        fault.abortShare = chance.pick([0, 0.5, 1])
        var route = RouteSettings()
        route.fault = fault
        route.maxDeadline = chance.hits(30) ? .milliseconds(chance.range(50, 500)) : nil
        route.idleTimeout = chance.hits(30) ? .milliseconds(chance.range(50, 500)) : nil
        return route
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
        if chance.hits(25) {
            settings.maxConnectionAge = .milliseconds(chance.range(100, 1_500))
            settings.maxConnectionAgeGrace = chance.hits(50) ? .milliseconds(chance.range(50, 1_000)) : nil
        }
        return settings
    }

    /// Another one for each reload.
    static func drawCluster(_ chance: Chance) -> ClusterSettings {
        var settings = ClusterSettings()
        settings.balance = chance.pick(BalancePolicy.allCases)
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
        settings.hashKey = chance.pick([.peer, .header("x-call")])
        settings.panicThreshold = chance.pick([0, 0, 0.5, 1])
        settings.slowStart = chance.hits(25) ? .milliseconds(chance.range(50, 2_000)) : nil
        if chance.hits(25) { settings.zone = ZonePreference(own: "here") }
        settings.outlier = drawOutlier(chance)
        if chance.hits(30) { settings.breakers = drawBreakers(chance) }
        settings.retryBudget.minimumPerSecond = chance.pick([0, 1, 10, 10])
        return settings
    }

    private static func drawOutlier(_ chance: Chance) -> OutlierSettings {
        var outlier = OutlierSettings()
        outlier.isEnabled = chance.hits(90)
        outlier.consecutiveFailures = chance.pick([1, 2, 5])
        outlier.interval = .milliseconds(chance.pick([100, 1_000, 10_000]))
        outlier.failureShare = chance.hits(30) ? 0.5 : nil
        outlier.latencyFactor = chance.hits(30) ? 3 : nil
        outlier.minimumEndpoints = chance.range(2, 3)
        outlier.minimumRequests = chance.range(1, 5)
        outlier.ejectionBase = .milliseconds(chance.pick([50, 500, 30_000]))
        outlier.ejectionMax = .seconds(60)
        outlier.maxEjectedShare = chance.pick([0.5, 1])
        return outlier
    }

    private static func drawBreakers(_ chance: Chance) -> CircuitBreakerSettings {
        var breakers = CircuitBreakerSettings()
        if chance.hits(30) { breakers.maxConnections = chance.range(1, 3) }
        if chance.hits(30) { breakers.maxRequests = chance.range(1, 5) }
        if chance.hits(30) { breakers.maxRequestsPerEndpoint = chance.range(1, 3) }
        if chance.hits(30) { breakers.maxRetries = chance.range(0, 2) }
        if chance.hits(30) {
            breakers.adaptive = AdaptiveLimitSettings()
            breakers.adaptive?.minimum = chance.range(1, 3)
            breakers.adaptive?.interval = .milliseconds(chance.pick([50, 500]))
            breakers.adaptive?.relearnInterval = .milliseconds(chance.pick([500, 5_000]))
        }
        return breakers
    }

    /// Settings under which calls that nothing hinders succeed.
    static func calmCluster(_ settings: ClusterSettings) -> ClusterSettings {
        var settings = settings
        settings.maxPendingStreams = 1_000
        settings.replayBufferBytes = 65_536
        settings.maxStreamsPerConnection = max(settings.maxStreamsPerConnection, 10)
        settings.pendingTimeout = .seconds(1)
        settings.timeout = nil
        settings.breakers = CircuitBreakerSettings()
        return settings
    }
}
