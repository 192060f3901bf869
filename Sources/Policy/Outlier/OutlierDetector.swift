/// Judges endpoints by how they answer. State lives in ``OutlierRecord``; what is here decides.
package enum OutlierDetector {
    /// Takes in how an attempt ended.
    /// - Parameters:
    ///   - latency: nanoseconds from the stream's start to the response's head; nil without one.
    ///   - now: nanoseconds of the monotonic clock.
    /// - Returns: that the endpoint was ejected for it.
    package static func note(
        _ result: AttemptResult, latency: Int64?, of endpoint: Endpoint, in cluster: Cluster, now: Int64
    ) -> Ejection? { nil }

    /// Compares the endpoints with each other. One of the workers does it, once per interval.
    /// - Returns: who was ejected.
    package static func sweep(_ cluster: Cluster, now: Int64) -> [Ejection] { [] }
}

/// That an endpoint takes no streams for a while.
package struct Ejection: Sendable {
    package let endpoint: Endpoint
    package let reason: Reason
    package let lasts: Duration

    package enum Reason: String, Sendable, CaseIterable {
        case consecutiveFailures = "consecutive_failures"
        case successRate = "success_rate"
        case failureShare = "failure_share"
        case latency
        /// The trial after an ejection failed.
        case trial
    }
}
