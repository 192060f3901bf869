import Synchronization

/// The rate limits of one route, shared by all workers and exact over them.
///
/// The route's bucket is one atomic number; the callers' are in ``CallerBuckets``. A request takes from both or from
/// neither: what one bucket refuses is not charged to the other.
package final class RouteLimiter: Sendable {
    private let settings: RateLimitSettings
    private let bucket: TokenBucket?
    /// When the route's bucket is full again; nanoseconds of the monotonic clock.
    private let fullAt = Atomic<Int64>(TokenBucket.full)
    private let callers: CallerBuckets?

    package init(_ settings: RateLimitSettings) {
        self.settings = settings
        bucket = settings.requestsPerSecond.map { TokenBucket(rate: $0, burst: settings.burst) }
        callers = settings.perCaller.map {
            CallerBuckets(TokenBucket(rate: $0.requestsPerSecond, burst: $0.burst), maxCallers: $0.maxCallers)
        }
    }

    /// That a request has to wait.
    package struct Refusal: Sendable, Equatable {
        /// Nanoseconds until there is a place, if nobody else takes it; more than zero.
        package let wait: Int64
        /// Whose limit it is. A caller that is over its own is told so, whatever the route's says.
        package let scope: Scope

        package enum Scope: Sendable, Equatable {
            case route, caller
        }
    }

    /// Whether callers are told apart at all.
    package var countsCallers: Bool { callers != nil }

    /// Whether callers have to be told apart by a header's value; in lower case.
    package var callerHeader: String? { settings.perCaller?.header }

    /// Takes a request's place.
    /// - Parameters:
    ///   - caller: a hash of what the caller is told apart by, evenly spread and not to be guessed from outside. Of no
    ///     meaning where ``countsCallers`` is false.
    ///   - now: nanoseconds of the monotonic clock.
    /// - Returns: nil when there is one.
    package func take(caller: UInt64, now: Int64) -> Refusal? {
        guard let callers else { return takeOfRoute(now) }
        return callers.take(caller: caller, now: now) { takeOfRoute(now) }
    }

    private func takeOfRoute(_ now: Int64) -> Refusal? {
        guard let bucket else { return nil }
        var seen = fullAt.load(ordering: .relaxed)
        while true {
            switch bucket.take(fullAt: seen, now: now) {
            case .refused(let wait):
                return Refusal(wait: wait, scope: .route)
            case .taken(let next):
                let (exchanged, original) = fullAt.weakCompareExchange(
                    expected: seen, desired: next, ordering: .relaxed)
                if exchanged { return nil }
                seen = original
            }
        }
    }
}
