import Synchronization

/// How long an endpoint takes to answer: a mean that jumps up at once and comes down by and by (peak-EWMA). Shared by
/// all workers, lock-free.
///
/// Answers that are quicker than the mean count by the time since the last one (time constant 10 s), so that it does
/// not matter how many there are, and at most one per millisecond is written down.
package struct LatencyRecord: ~Copyable, Sendable {
    /// Above: milliseconds of the monotonic clock, which wrap after 49 days. Below: nanoseconds as a Float. Zero
    /// without a sample.
    private let record = Atomic<UInt64>(0)

    /// Milliseconds in which a mean comes down to 1/e.
    private static let timeConstant = 10_000.0

    package init() {}

    /// Takes in one answer.
    /// - Parameters:
    ///   - latency: nanoseconds from the stream's start to the response's head.
    ///   - now: nanoseconds of the monotonic clock.
    package func note(_ latency: Int64, now: Int64) {
        let sample = Float(max(latency, 1))
        var old = record.load(ordering: .relaxed)
        while true {
            var mean = sample
            if old != 0 {
                let before = Self.mean(old)
                if sample <= before {
                    let elapsed = Self.elapsed(since: old, now)
                    if elapsed == 0 { return }
                    mean += (before - sample) * Float(Self.decay(elapsed))
                }
            }
            let new = UInt64(Self.milliseconds(now)) << 32 | UInt64(mean.bitPattern)
            let (done, found) = record.weakCompareExchange(expected: old, desired: new, ordering: .relaxed)
            if done { return }
            old = found
        }
    }

    /// Nanoseconds that an answer takes, as of the last one; nil when there was none.
    package var mean: Int64? {
        let record = record.load(ordering: .relaxed)
        return record == 0 ? nil : Int64(Self.mean(record))
    }

    /// What balancers compare.
    struct Reading {
        /// Nanoseconds, as of the last answer.
        let mean: Double
        private let record: UInt64
        private let now: Int64

        fileprivate init(record: UInt64, now: Int64) {
            mean = Double(LatencyRecord.mean(record))
            self.record = record
            self.now = now
        }

        /// The mean with the time since the last answer counted as if it had been all quick: so an endpoint that was
        /// slow once and got no streams for it is tried again.
        var forgiven: Double { mean * LatencyRecord.decay(LatencyRecord.elapsed(since: record, now)) }
    }

    /// - Parameter now: nanoseconds of the monotonic clock.
    /// - Returns: nil without a sample.
    func reading(now: Int64) -> Reading? {
        let record = record.load(ordering: .relaxed)
        return record == 0 ? nil : Reading(record: record, now: now)
    }

    private static func mean(_ record: UInt64) -> Float {
        Float(bitPattern: UInt32(truncatingIfNeeded: record))
    }

    private static func milliseconds(_ now: Int64) -> UInt32 {
        UInt32(truncatingIfNeeded: now / 1_000_000)
    }

    /// Milliseconds; zero where the record is from a worker whose clock reading is later.
    private static func elapsed(since record: UInt64, _ now: Int64) -> Double {
        let elapsed = Int32(bitPattern: milliseconds(now) &- UInt32(truncatingIfNeeded: record >> 32))
        return Double(max(elapsed, 0))
    }

    /// e to the power of −elapsed/timeConstant, as (1 − x/1024)¹⁰²⁴: within a thousandth where it matters, and without
    /// the C library.
    private static func decay(_ elapsed: Double) -> Double {
        var factor = max(1 - elapsed / timeConstant / 1_024, 0)
        for _ in 0..<10 { factor *= factor }
        return factor
    }
}
