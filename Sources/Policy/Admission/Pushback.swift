/// When refused callers are asked to come back (gRFC A6, server pushback). All at the same time would be refused again,
/// so there is chance in it.
package enum Pushback {
    /// For a state of which nobody knows when it ends: 100 ms to 1 s.
    package static func soon(_ random: inout SplitMix64) -> Duration {
        .milliseconds(Int.random(in: 100...1_000, using: &random))
    }

    /// For one whose end is known: not before it, and at most twice as late. Whole milliseconds, since callers read
    /// no less.
    /// - Parameter wait: nanoseconds.
    package static func after(_ wait: Int64, _ random: inout SplitMix64) -> Duration {
        let milliseconds = (max(wait, 1) + 999_999) / 1_000_000
        return .milliseconds(Int64.random(in: milliseconds...2 * milliseconds, using: &random))
    }
}
