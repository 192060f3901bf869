/// The rate limits of one route, shared by all workers.
package final class RouteLimiter: Sendable {
    private let settings: RateLimitSettings

    package init(_ settings: RateLimitSettings) {
        self.settings = settings
    }

    /// Whether callers have to be told apart by a header's value; in lower case.
    package var callerHeader: String? { settings.perCaller?.header }

    /// Takes a request's place.
    /// - Parameters:
    ///   - caller: a hash of what the caller is told apart by.
    ///   - now: nanoseconds of the monotonic clock.
    /// - Returns: nil when there is one, else nanoseconds until there will be.
    package func take(caller: UInt64, now: Int64) -> Int64? { nil }
}
