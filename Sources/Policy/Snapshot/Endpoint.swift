package import Synchronization

/// One task of a cluster, with the facts about it that all workers and the control side share.
///
/// An endpoint lives as long as somebody uses it: a snapshot that lists it, or a stream that runs on it. Its statistics
/// survive every snapshot in which its address stays. All members are lock-free and may be used from any thread.
package final class Endpoint: Sendable {
    package let address: EndpointAddress
    /// The address as it appears in messages, logs and metrics; built once.
    package let name: String

    /// Streams in flight on this endpoint, over all workers. Written by the workers, read by `least_request`.
    package let activeStreams = Atomic<Int>(0)
    /// Streams ever started on this endpoint, attempts of one exchange counted each.
    package let streamsTotal = Atomic<Int>(0)
    /// Attempts that ended without a response of the endpoint's own (reset, connection lost, connect failure).
    package let failuresTotal = Atomic<Int>(0)
    /// Open connections to this endpoint, over all workers.
    package let connections = Atomic<Int>(0)
    /// Connect failures in a row; zero after a success. Feeds the back-off.
    package let connectFailuresInRow = Atomic<Int>(0)

    /// Nanoseconds of the monotonic clock until which the endpoint is passed over after connect failures.
    private let coolDownUntil = Atomic<Int64>(0)

    package init(address: EndpointAddress) {
        self.address = address
        self.name = address.description
    }

    /// Whether the endpoint is in the pause that follows a connect failure.
    /// - Parameter now: nanoseconds of the monotonic clock.
    package func isCoolingDown(now: Int64) -> Bool {
        coolDownUntil.load(ordering: .relaxed) > now
    }

    /// Records a connect failure and starts or lengthens the pause: `base`·2ⁿ, at most `ceiling`.
    /// - Parameters:
    ///   - now: nanoseconds of the monotonic clock.
    ///   - base: nanoseconds of the first pause.
    ///   - ceiling: nanoseconds of the longest pause.
    package func recordConnectFailure(now: Int64, base: Int64, ceiling: Int64) {
        // Several workers see one incident: what fails within a pause does not lengthen it.
        if isCoolingDown(now: now) { return }
        let failures = connectFailuresInRow.add(1, ordering: .relaxed).newValue
        let doublings = min(failures - 1, 16)
        let pause = min(base << Int64(doublings), ceiling)
        coolDownUntil.store(now + pause, ordering: .relaxed)
    }

    /// Records that a connection was made: the endpoint takes streams again.
    package func recordConnectSuccess() {
        if connectFailuresInRow.load(ordering: .relaxed) != 0 {
            connectFailuresInRow.store(0, ordering: .relaxed)
            coolDownUntil.store(0, ordering: .relaxed)
        }
    }
}
