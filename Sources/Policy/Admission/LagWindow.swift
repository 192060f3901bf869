/// How late an event loop ran its timer over the last two seconds, in the middle: one pause of the machine or of the
/// process, however long, is one late timer among many and moves nothing. Time is an argument.
package struct LagWindow: Sendable {
    /// The last ones, oldest first.
    private var samples: [(at: Int64, lag: Int64)] = []

    private static let span: Int64 = 2_000_000_000
    /// As many are looked at whatever their age: a loop that is very late has few in two seconds.
    private static let fewest = 5

    package init() {}

    /// - Parameters:
    ///   - lag: nanoseconds from the timer's deadline to its turn.
    ///   - now: nanoseconds of the monotonic clock.
    package mutating func note(_ lag: Int64, now: Int64) {
        samples.append((now, max(lag, 0)))
        while samples.count > Self.fewest, let first = samples.first, now - first.at > Self.span {
            samples.removeFirst()
        }
    }

    /// Nanoseconds; zero while there are too few samples to tell.
    package var median: Int64 {
        guard samples.count >= Self.fewest else { return 0 }
        return samples.map(\.lag).sorted()[(samples.count - 1) / 2]
    }
}
