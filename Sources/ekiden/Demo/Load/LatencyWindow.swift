/// The latencies of one second, in nanoseconds.
struct LatencyWindow: Sendable {
    private var values: [Int64] = []

    mutating func record(_ nanoseconds: Int64) {
        values.append(nanoseconds)
    }

    /// The latencies that these shares of the calls (0...1) did not exceed; nil when there was no call.
    func quantiles(_ shares: Double...) -> [Int64]? {
        if values.isEmpty { return nil }
        let sorted = values.sorted()
        return shares.map { share in
            let rank = Int((share * Double(sorted.count)).rounded(.up))
            return sorted[min(max(rank, 1), sorted.count) - 1]
        }
    }
}
