/// When an attempt that a task has seen may be followed by another one (gRFC A6, with conditions for HTTP).
///
/// What no task has seen, or has refused by the rules of HTTP/2, is *replayed* by the cluster's settings and needs no
/// policy. The default policy is therefore empty.
package struct RetryPolicy: Sendable, Equatable {
    /// Ways to fail that are retried.
    package var conditions: RetryConditions = []
    /// gRPC statuses that are retried, as long as no message of the response was passed on.
    package var grpcStatuses: Set<GRPCStatus> = []
    /// HTTP statuses that are retried; 502, 503 and 504 make sense.
    package var httpStatuses: Set<Int> = []
    /// Attempts of one exchange that a task may have seen, the first included; at least 1.
    package var maxAttempts = 3
    /// The pause before retry n is a random time up to `backoffBase`·2ⁿ⁻¹, at most `backoffMax` (full jitter).
    package var backoffBase: Duration = .milliseconds(25)
    package var backoffMax: Duration = .milliseconds(250)

    package init() {}

    /// Whether the response has to be looked at before it is passed on.
    package var readsStatuses: Bool { !grpcStatuses.isEmpty || !httpStatuses.isEmpty }
}

/// Ways to fail, beside statuses.
package struct RetryConditions: OptionSet, Sendable, Hashable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// No connection could be made and the replays are used up.
    package static let connectFailure = RetryConditions(rawValue: 1)
    /// The task reset the stream before its response's head.
    package static let reset = RetryConditions(rawValue: 2)
    /// The attempt's own timeout passed before the response's head.
    package static let timeout = RetryConditions(rawValue: 4)
}

/// Further attempts while the first still runs (gRFC A6, hedging).
package struct HedgingPolicy: Sendable, Equatable {
    /// From one attempt to the next.
    package var delay: Duration = .milliseconds(100)
    /// Attempts of one exchange, the first included.
    package var maxAttempts = 2
    /// Statuses that do not end the exchange while other attempts run or may still be made.
    package var nonFatalStatuses: Set<GRPCStatus> = [.unavailable]

    package init() {}
}

/// What a cluster lets retries and hedges add to its load.
package struct RetryBudgetSettings: Sendable, Equatable {
    /// Of the cluster's requests, 0...1.
    package var ratio = 0.2
    /// And this many per second whatever the traffic, over all workers.
    package var minimumPerSecond = 10

    package init() {}
}
