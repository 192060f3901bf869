import Synchronization

/// What of a cluster's settings a pick looks at, as plain numbers.
struct BalanceRules: Sendable {
    let policy: BalancePolicy
    /// Streams in flight on one endpoint, at most.
    let endpointLimit: Int
    let panicThreshold: Double
    /// Nanoseconds; zero for no slow start.
    let slowStart: Int64
    /// Share of usable endpoints in our zone below which streams leave it; zero without a zone.
    let spillBelow: Double

    init(_ settings: ClusterSettings) {
        policy = settings.balance
        endpointLimit = settings.breakers.maxRequestsPerEndpoint ?? .max
        panicThreshold = settings.panicThreshold
        switch policy {
        // What a key belongs to does not depend on time.
        case .ringHash, .maglev: slowStart = 0
        case .roundRobin, .leastRequest, .peakEWMA, .random: slowStart = max(settings.slowStart?.nanoseconds ?? 0, 0)
        }
        spillBelow = settings.zone?.spillBelow ?? 0
    }

    /// Whether the endpoint has all the streams it may have, those on their way to it counted.
    func isFull(_ endpoint: Endpoint) -> Bool {
        if endpointLimit == .max { return false }
        let awaited = endpoint.awaitedStreams.load(ordering: .relaxed)
        return endpoint.activeStreams.load(ordering: .relaxed) + awaited >= endpointLimit
    }

    /// Whether the policy goes by keys.
    var isKeyed: Bool { policy == .ringHash || policy == .maglev }

    /// Whether a usable endpoint whose turn it is can be taken without another look.
    ///
    /// A panic does not matter here: who is usable gets its turn in a panic and without one. Only where the turn falls
    /// on another one does the panic decide.
    var isPlain: Bool { policy == .roundRobin && endpointLimit == .max && slowStart == 0 }
}
