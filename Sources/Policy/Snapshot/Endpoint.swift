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
    /// Attempts that have chosen this endpoint and wait for their stream, over all workers. Counted only where the
    /// cluster limits the streams of an endpoint.
    package let awaitedStreams = Atomic<Int>(0)
    /// Streams ever started on this endpoint, attempts of one exchange counted each.
    package let streamsTotal = Atomic<Int>(0)
    /// Attempts that ended without a response of the endpoint's own (reset, connection lost, connect failure), or with
    /// a status that outlier detection takes for its failure.
    package let failuresTotal = Atomic<Int>(0)
    /// Open connections to this endpoint, over all workers.
    package let connections = Atomic<Int>(0)

    /// What active checks say.
    package let health = EndpointHealth()
    /// How it has answered lately, and whether it is ejected for that.
    package let outlier = OutlierRecord()
    /// How long it takes to answer; kept where a balancer asks for it.
    package let latency = LatencyRecord()
    /// Nanoseconds of the monotonic clock when it took its first streams, for the slow start; zero before that.
    package let startedAt = Atomic<Int64>(0)

    /// Connect failures in a row; zero after a success. Feeds the back-off.
    private let failuresInRow = Atomic<Int>(0)
    /// Nanoseconds of the monotonic clock before which nobody tries again. Says nothing while there are no failures,
    /// and is zero from the first failure until its pause is written.
    private let nextTry = Atomic<Int64>(0)

    package init(address: EndpointAddress) {
        self.address = address
        self.name = address.description
    }

    /// Whether the last word from the endpoint was that it cannot be reached. Balancers pass over it while another one
    /// is left. Only ``recordReached()`` ends that, so that no caller pays for the next: for a connection that is made,
    /// and for one on which the task is heard or acknowledges again.
    package var isUnreachable: Bool {
        failuresInRow.load(ordering: .relaxed) != 0
    }

    /// Whether nothing speaks against giving it streams.
    package var isUsable: Bool { !isUnreachable && !outlier.isEjected && health.isFit }

    /// Whether the endpoint is in the pause that follows a connect failure.
    /// - Parameter now: nanoseconds of the monotonic clock.
    package func isCoolingDown(now: Int64) -> Bool {
        isUnreachable && nextTry.load(ordering: .relaxed) > now
    }

    /// Takes the right to try an unreachable endpoint again. One worker gets it, once per pause.
    /// - Parameters:
    ///   - now: nanoseconds of the monotonic clock.
    ///   - lease: nanoseconds within which the try has an outcome; after it another one may try.
    package func claimProbe(now: Int64, lease: Int64) -> Bool {
        guard isUnreachable else { return false }
        let due = nextTry.load(ordering: .relaxed)
        return due != 0 && due <= now
            && nextTry.compareExchange(expected: due, desired: now + lease, ordering: .relaxed).exchanged
    }

    /// Records that no connection could be made, or that one went dark, and starts the pause or, for a probe, the next
    /// and longer one: `base`·2ⁿ, at most `ceiling`.
    /// - Parameters:
    ///   - now: nanoseconds of the monotonic clock.
    ///   - base: nanoseconds of the first pause.
    ///   - ceiling: nanoseconds of the longest pause.
    ///   - isProbe: whether the try was claimed by ``claimProbe(now:lease:)``.
    /// - Returns: whether this is news, and not one more sight of the same incident.
    @discardableResult
    package func recordUnreachable(now: Int64, base: Int64, ceiling: Int64, isProbe: Bool = false) -> Bool {
        // Several workers and streams see one incident: of those that see the first failure in the same moment one
        // marks the endpoint, and what fails within a pause does not lengthen it.
        let failures = failuresInRow.load(ordering: .sequentiallyConsistent)
        let doublings = Int64(min(failures, 16))
        let next = max(now + min(base << doublings, ceiling), 1)
        if failures == 0 {
            guard failuresInRow.compareExchange(expected: 0, desired: 1, ordering: .sequentiallyConsistent).exchanged
            else { return false }
            nextTry.store(next, ordering: .sequentiallyConsistent)
            return true
        }
        let due = nextTry.load(ordering: .sequentiallyConsistent)
        guard due != 0, isProbe || due <= now,
            nextTry.compareExchange(expected: due, desired: next, ordering: .sequentiallyConsistent).exchanged
        else { return false }
        // Fails where the endpoint was reached meanwhile, which stands.
        return failuresInRow.compareExchange(
            expected: failures, desired: failures + 1, ordering: .sequentiallyConsistent
        ).exchanged
    }

    /// Records that the endpoint answered: it takes streams again.
    package func recordReached() {
        if isUnreachable {
            // In this order: a failure that is recorded meanwhile writes its pause behind this zero.
            nextTry.store(0, ordering: .sequentiallyConsistent)
            failuresInRow.store(0, ordering: .sequentiallyConsistent)
        }
    }
}
