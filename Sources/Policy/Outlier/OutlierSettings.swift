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
    /// An endpoint whose success rate lies this many standard deviations below the cluster's mean is ejected; nil: none.
    package var successRateDeviations: Double? = 1.9
    /// An endpoint of whose requests this share (0...1) failed is ejected; nil: none.
    package var failureShare: Double?
    /// An endpoint whose mean latency is this many times the cluster's median is ejected; nil: none.
    package var latencyFactor: Double?
    /// Endpoints with enough requests that it takes to compare, and how many requests are enough.
    package var minimumEndpoints = 3
    package var minimumRequests = 50
    /// The first ejection's length; the n-th in a row lasts `base`·2ⁿ⁻¹, at most `ejectionMax`.
    package var ejectionBase: Duration = .seconds(30)
    package var ejectionMax: Duration = .seconds(300)
    /// Share of the endpoints that is ejected at most (0...1). Of two or three it is always one at most, and never the
    /// last that takes streams.
    package var maxEjectedShare = 0.5

    package init() {}
}
