/// Counts latencies in steps of a sixteenth of their power of two, from a microsecond to a minute, so that a quantile
/// is right to about three percent. What is outside counts at the border.
struct LatencyHistogram: Sendable {
    private static let stepBits = 4
    private static let lowestExponent = 10
    private static let highestExponent = 36

    private var counts = [UInt32](repeating: 0, count: (highestExponent - lowestExponent + 1) << stepBits)
    private(set) var count = 0

    /// - Parameter latency: nanoseconds.
    mutating func note(_ latency: Int64) {
        counts[Self.index(latency)] += 1
        count += 1
    }

    mutating func removeAll() {
        if count == 0 { return }
        for index in counts.indices { counts[index] = 0 }
        count = 0
    }

    /// The value below which half of the latencies lie, in nanoseconds; nil without any.
    var median: Int64? {
        if count == 0 { return nil }
        let rank = Double(count) / 2
        var below = 0.0
        for (index, here) in counts.enumerated() where here > 0 {
            let next = below + Double(here)
            if next >= rank {
                let (start, width) = Self.bounds(index)
                return start + Int64(Double(width) * (rank - below) / Double(here))
            }
            below = next
        }
        return nil
    }

    private static func index(_ latency: Int64) -> Int {
        let value = min(max(latency, 1 << lowestExponent), (1 << (highestExponent + 1)) - 1)
        let exponent = 63 - value.leadingZeroBitCount
        let step = Int(value >> (exponent - stepBits)) & ((1 << stepBits) - 1)
        return (exponent - lowestExponent) << stepBits + step
    }

    private static func bounds(_ index: Int) -> (start: Int64, width: Int64) {
        let exponent = index >> stepBits + lowestExponent
        let width: Int64 = 1 << (exponent - stepBits)
        return ((1 << exponent) + Int64(index & ((1 << stepBits) - 1)) * width, width)
    }
}
