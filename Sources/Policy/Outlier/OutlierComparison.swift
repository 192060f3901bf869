/// What an endpoint answered within one interval.
struct OutlierWindow: Sendable, Equatable {
    var requests = 0
    /// Of the requests.
    var failures = 0
    /// Nanoseconds, over the answers that succeeded.
    var latencySum: Int64 = 0
    var latencyCount = 0

    /// 0...1; of one request at least.
    var successRate: Double { Double(requests - failures) / Double(requests) }
    /// Nanoseconds; of one answer at least.
    var meanLatency: Double { Double(latencySum) / Double(latencyCount) }
}

/// Tells from what the endpoints of a cluster answered within one interval which of them are outliers.
enum OutlierComparison {
    struct Finding: Sendable, Equatable {
        /// Of the endpoint.
        let index: Int
        let reason: Ejection.Reason
    }

    /// - Parameter windows: one per endpoint; nil for those that are ejected and compared with nobody.
    /// - Returns: rule by rule and the worst first, for not all may be ejected. An endpoint may be found by several.
    static func findings(in windows: [OutlierWindow?], _ settings: OutlierSettings) -> [Finding] {
        successRates(windows, settings) + failureShares(windows, settings) + latencies(windows, settings)
    }

    /// An endpoint by its index and what it is judged by.
    private struct Candidate {
        let index: Int
        let value: Double
    }

    // MARK: Success rate

    /// No gap between success rates that is smaller than this ejects anybody. Where all answer well the deviation is
    /// next to nothing, and by deviations alone an endpoint with 99.9 % among others with 100 % would go.
    static let smallestGap = 0.05
    /// Nor one below so many standard errors of the difference: equally bad endpoints differ by chance, the more the
    /// fewer requests there were. Four are passed by chance about once in thirty thousand comparisons.
    static let standardErrors = 4.0

    /// Each endpoint is compared with the mean and the deviation of the *others*. With itself among them, as Envoy
    /// counts, one of n endpoints is never further than (n−1)/√n deviations from the mean: 1.15 of three, 1.79 of
    /// five, and with 1.9 nobody would ever be ejected there.
    private static func successRates(_ windows: [OutlierWindow?], _ settings: OutlierSettings) -> [Finding] {
        guard let deviations = settings.successRateDeviations else { return [] }
        let members = windows.indices.compactMap { index -> (index: Int, window: OutlierWindow)? in
            guard let window = windows[index], window.requests >= max(settings.minimumRequests, 1) else { return nil }
            return (index, window)
        }
        guard members.count >= max(settings.minimumEndpoints, 2) else { return [] }
        let sum = members.reduce(0) { $0 + $1.window.successRate }
        let squares = members.reduce(0) { $0 + $1.window.successRate * $1.window.successRate }
        let requests = Double(members.reduce(0) { $0 + $1.window.requests })
        let failures = Double(members.reduce(0) { $0 + $1.window.failures })
        let variance = failures / requests * (1 - failures / requests)
        let others = Double(members.count - 1)
        let outliers = members.compactMap { member -> Candidate? in
            let rate = member.window.successRate
            let own = Double(member.window.requests)
            let mean = (sum - rate) / others
            let deviation = max((squares - rate * rate) / others - mean * mean, 0).squareRoot()
            let standardError = (variance * (1 / own + 1 / (requests - own))).squareRoot()
            let gap = max(deviations * deviation, smallestGap, standardErrors * standardError)
            return mean - rate > gap ? Candidate(index: member.index, value: -rate) : nil
        }
        return worstFirst(outliers, .successRate)
    }

    // MARK: Failure share

    /// Needs nobody to compare with.
    private static func failureShares(_ windows: [OutlierWindow?], _ settings: OutlierSettings) -> [Finding] {
        guard let share = settings.failureShare else { return [] }
        let outliers = windows.indices.compactMap { index -> Candidate? in
            guard let window = windows[index], window.requests >= max(settings.minimumRequests, 1) else { return nil }
            let failed = 1 - window.successRate
            // A share of zero means any failure.
            return window.failures > 0 && failed >= share ? Candidate(index: index, value: failed) : nil
        }
        return worstFirst(outliers, .failureShare)
    }

    // MARK: Latency

    /// Differences below a millisecond are the machine's, not the endpoint's.
    static let smallestDelay = 1_000_000.0

    private static func latencies(_ windows: [OutlierWindow?], _ settings: OutlierSettings) -> [Finding] {
        guard let factor = settings.latencyFactor else { return [] }
        let members = windows.indices.compactMap { index -> Candidate? in
            guard let window = windows[index], window.latencyCount >= max(settings.minimumRequests, 1)
            else { return nil }
            return Candidate(index: index, value: window.meanLatency)
        }
        guard members.count >= max(settings.minimumEndpoints, 2) else { return [] }
        // The lower one of an even number: of two, a mean of both could never be exceeded twice.
        let median = members.map(\.value).sorted()[(members.count - 1) / 2]
        let outliers = members.filter { $0.value > factor * median && $0.value - median >= smallestDelay }
        return worstFirst(outliers, .latency)
    }

    private static func worstFirst(_ outliers: [Candidate], _ reason: Ejection.Reason) -> [Finding] {
        outliers.sorted { ($0.value, $1.index) > ($1.value, $0.index) }
            .map { Finding(index: $0.index, reason: reason) }
    }
}
