/// When an endpoint that answers badly is passed over for a while. All workers share what they see.
package struct OutlierSettings: Sendable, Equatable {
    package var isEnabled = true
    /// Failures in a row that eject; 0 ejects nobody for that.
    package var consecutiveFailures = 5
    /// Statuses that count as failures of the endpoint; resets, connect failures and timeouts always do. Never what is
    /// the caller's fault.
    package var grpcStatuses: Set<GRPCStatus> = [.unknown, .internal, .unavailable, .dataLoss]
    package var httpStatuses: Set<Int> = [502, 503, 504]
    /// How often success rates, failure shares and latencies are looked at.
    package var interval: Duration = .seconds(10)
    /// An endpoint whose success rate lies this many standard deviations below the mean of the others is ejected, if
    /// the gap is five percent at least and not by chance; nil: none.
    package var successRateDeviations: Double? = 1.9
    /// An endpoint of whose requests this share (0...1) failed is ejected; nil: none.
    package var failureShare: Double?
    /// An endpoint whose mean latency is more than this many times the cluster's median, and a millisecond above it at
    /// least, is ejected; nil: none.
    package var latencyFactor: Double?
    /// Endpoints with enough requests that it takes to compare success rates or latencies, and how many requests of an
    /// interval are enough, for all three.
    package var minimumEndpoints = 3
    package var minimumRequests = 50
    /// The first ejection's length; the n-th in a row lasts `base`·2ⁿ⁻¹, at most `ejectionMax`.
    package var ejectionBase: Duration = .seconds(30)
    package var ejectionMax: Duration = .seconds(300)
    /// Share of the endpoints that is ejected at most (0...1); one at least, and never the last that takes streams. 0
    /// ejects nobody.
    package var maxEjectedShare = 0.5

    package init() {}

    /// Whether requests and failures are compared at all, and have to be counted.
    var comparesCounts: Bool { successRateDeviations != nil || failureShare != nil }

    /// Nanoseconds from one sweep to the next at least. A tenth less than the interval: a timer that ticks a little
    /// early must not miss every other one.
    var sweepPeriod: Int64 {
        let length = min(max(interval.nanoseconds, 1), Self.longest)
        return length - length / 10
    }

    /// How many of so many endpoints may be ejected together: the share, but one at least unless it is zero, and never
    /// all.
    func ejectedMax(of count: Int) -> Int {
        if count < 2 || maxEjectedShare <= 0 { return 0 }
        // 0.29 of a hundred is twenty-nine, which binary fractions miss by a little.
        let share = Double(count) * min(maxEjectedShare, 1) + 1e-9
        return min(max(Int(share.rounded(.down)), 1), count - 1)
    }

    // MARK: Length of ejections

    /// Nanoseconds.
    var longestEjection: Int64 { min(max(ejectionMax.nanoseconds, 0), Self.longest) }

    /// How long the n-th ejection in a row lasts, in nanoseconds.
    /// - Parameter step: from 1.
    func ejectionLength(step: Int) -> Int64 {
        let longest = longestEjection
        var length = min(max(ejectionBase.nanoseconds, 0), longest)
        var doublings = min(step, 64) - 1
        while doublings > 0, length < longest {
            length = min(2 * length, longest)
            doublings -= 1
        }
        return length
    }

    /// The step of an ejection that follows. Ends where ejections become no longer: whoever failed for weeks must not
    /// need weeks to be trusted again.
    /// - Parameter step: of the ejection before, less what it has lost since; zero without one.
    func step(after step: Int) -> Int {
        let next = max(step, 0) + 1
        return next > 1 && ejectionLength(step: next) == ejectionLength(step: next - 1) ? next - 1 : next
    }

    /// Sums with a clock reading must not overflow.
    private static let longest: Int64 = 1 << 58
}
