package import Synchronization

/// How long an endpoint takes to answer: a mean that jumps up at once and comes down by and by (peak-EWMA). Shared by
/// all workers, lock-free.
package struct LatencyRecord: ~Copyable, Sendable {
    private let average = Atomic<Int64>(0)

    package init() {}

    /// Takes in one answer.
    /// - Parameters:
    ///   - latency: nanoseconds from the stream's start to the response's head.
    ///   - now: nanoseconds of the monotonic clock.
    package func note(_ latency: Int64, now: Int64) {}
}
