package import Synchronization

/// How an endpoint has answered lately, and whether it is ejected for it. Shared by all workers, lock-free.
package struct OutlierRecord: ~Copyable, Sendable {
    private let ejectedUntil = Atomic<Int64>(0)

    package init() {}

    /// Whether the endpoint takes no streams but a trial. One relaxed load: it is read in every pick.
    package var isEjected: Bool { ejectedUntil.load(ordering: .relaxed) != 0 }

    /// Takes the right to send the one stream that tells whether an ejected endpoint has recovered. One caller gets it
    /// once the ejection's time is over, until the trial has an outcome.
    /// - Parameter now: nanoseconds of the monotonic clock.
    package func claimTrial(now: Int64) -> Bool { false }

    /// Gives the right back: the trial ended without saying anything about the endpoint.
    package func releaseTrial() {}
}
