/// Exchanges of one worker that wait for a cluster's answer: its queue, as far as ``AdaptiveLimit`` is concerned.
///
/// What has waited for long is no part of a queue but a stream on which nothing has happened yet, and must not keep
/// others out for ever. So each counts until it is answered, or for ``span`` at most.
///
/// Confined to one worker; time is an argument, in nanoseconds of the monotonic clock.
package struct QueuedExchanges: Sendable {
    /// How long an exchange counts, to a tenth.
    package static let span: Int64 = 5_000_000_000
    private static let slots: Int64 = 10

    package private(set) var count = 0
    /// By the time at which they began.
    private var counts = [Int](repeating: 0, count: Int(slots))
    /// The number of the latest slot, from the clock's zero.
    private var latest: Int64 = 0

    /// What an exchange gives back when it is answered.
    package struct Place: Sendable {
        fileprivate let slot: Int64
    }

    package init() {}

    package mutating func add(now: Int64) -> Place {
        advance(now: now)
        counts[Int(latest % Self.slots)] += 1
        count += 1
        return Place(slot: latest)
    }

    package mutating func remove(_ place: Place) {
        guard place.slot > latest - Self.slots else { return }
        counts[Int(place.slot % Self.slots)] -= 1
        count -= 1
    }

    /// Forgets those that have waited for longer.
    package mutating func advance(now: Int64) {
        let slot = now / (Self.span / Self.slots)
        guard slot > latest else { return }
        for passed in 1...min(slot - latest, Self.slots) {
            let index = Int((latest + passed) % Self.slots)
            count -= counts[index]
            counts[index] = 0
        }
        latest = slot
    }
}
