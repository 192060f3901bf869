/// Requests that a route takes per second; more are refused with RESOURCE_EXHAUSTED or 429 and told when to come back.
package struct RateLimitSettings: Sendable, Equatable {
    /// Requests per second of the route, over all callers and workers; nil: no such limit.
    package var requestsPerSecond: Double?
    /// Requests that may come at once.
    package var burst = 100
    /// The same for each caller.
    package var perCaller: CallerRateLimitSettings?

    package init() {}
}

package struct CallerRateLimitSettings: Sendable, Equatable {
    package var requestsPerSecond: Double = 100
    package var burst = 100
    /// Whose requests are counted together: those with the same value of this header, or (nil) of the same address.
    /// Requests without the header count by address.
    package var header: String?
    /// Callers that are remembered at a time; those longest at rest are forgotten first.
    package var maxCallers = 10_000

    package init() {}
}

/// What a cluster, or one of its endpoints, is given at most. Counts are of the process; nil means no limit.
package struct CircuitBreakerSettings: Sendable, Equatable {
    /// Connections to the cluster.
    package var maxConnections: Int?
    /// Exchanges in flight on the cluster, those that wait included.
    package var maxRequests: Int?
    /// Streams in flight on one endpoint; one that is full is passed over.
    package var maxRequestsPerEndpoint: Int?
    /// Retries and hedges that run at a time.
    package var maxRetries: Int?
    /// Finds the number of concurrent requests that the cluster serves without queueing, and refuses what is above it.
    package var adaptive: AdaptiveLimitSettings?

    package init() {}
}

/// A limit of concurrency that follows latency (gradient): limit ← limit · (lowest latency / latency now) + headroom.
package struct AdaptiveLimitSettings: Sendable, Equatable {
    /// A call counts from its beginning to its end: a cluster of streams that live long wants a minimum above their
    /// number, or no such limit.
    package var minimum = 10
    package var maximum = 1_000
    /// How often the limit is set anew.
    package var interval: Duration = .milliseconds(500)
    /// How often the lowest latency is measured anew, at the minimum's concurrency.
    package var relearnInterval: Duration = .seconds(60)

    package init() {}
}

/// When the process refuses new streams, so that what is in flight goes well.
package struct OverloadSettings: Sendable, Equatable {
    package var isEnabled = true
    /// Exchanges in flight in the process.
    package var maxStreams = 100_000
    /// Share of the descriptor limit that may be in use (0...1).
    package var maxDescriptorShare = 0.95
    /// Share of `max_buffered_bytes_per_process` that may be held (0...1).
    package var maxBufferShare = 0.95
    /// How late the event loop may run its timers, in the middle over the last seconds.
    package var maxLoopLag: Duration = .milliseconds(250)

    package init() {}
}
