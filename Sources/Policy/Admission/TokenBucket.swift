/// A token bucket as one number (generic cell rate algorithm, ITU-T I.371): the time at which the bucket will be full
/// again. Time is an argument, in nanoseconds of the monotonic clock.
struct TokenBucket: Sendable, Equatable {
    /// Nanoseconds in which one token comes back.
    private let cost: Int64
    /// Nanoseconds in which an empty bucket fills up.
    private let depth: Int64

    /// Of a bucket that nobody has taken from.
    static let full = Int64.min

    /// - Parameters:
    ///   - rate: tokens per second; zero or less counts as one in eighteen minutes.
    ///   - burst: tokens of a full bucket, at least one.
    init(rate: Double, burst: Int) {
        let longest = Double(1 << 40)
        cost = rate > 0 ? Int64(max(1, min(1e9 / rate, longest))) : 1 << 40
        let (depth, overflow) = cost.multipliedReportingOverflow(by: Int64(max(burst, 1)))
        self.depth = overflow ? 1 << 60 : min(depth, 1 << 60)
    }

    /// What taking a token comes to.
    enum Taking: Equatable {
        /// There is one; the bucket is full again at this time.
        case taken(fullAt: Int64)
        /// There is none for so many nanoseconds.
        case refused(wait: Int64)
    }

    /// - Parameter fullAt: when the bucket is full; a time that has passed says no more than that it is.
    func take(fullAt: Int64, now: Int64) -> Taking {
        let next = max(fullAt, now) + cost
        let wait = next - depth - now
        return wait > 0 ? .refused(wait: wait) : .taken(fullAt: next)
    }
}
