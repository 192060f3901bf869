import Policy

extension ClusterSchema {
    /// What an endpoint has to do to get streams, and what the cluster takes.
    static let resilience: [Field<ClusterRule>] = [
        .switchedSection("outlier_detection", \.settings.outlier, enabled: \.isEnabled, outlier),
        HealthCheckSchema.field,
        .section("circuit_breakers", \.settings.breakers, breakers, orOff: .insteadOfOff(breakersOff)),
        .section("retry_budget", \.settings.retryBudget, retryBudget, orOff: .insteadOfOff(budgetOff)),
    ]

    private static let breakersOff = "leave it out: each of its limits is off until it is set"
    private static let budgetOff = "write {ratio: 1} for one retry per request, or 0 for ratio and min_per_second"

    /// How streams are spread, beside `balance`.
    static let spreading: [Field<ClusterRule>] = [
        .scalar("hash_on", \.settings.hashKey, .hashKey),
        .scalar("slow_start", \.settings.slowStart, ValueSyntax<Duration>.age.orNil("off")),
        .scalar("panic_threshold", \.settings.panicThreshold, .ratio),
        .optionalSection("zone", \.settings.zone, blank: ZonePreference(own: ""), main: "own", zone),
    ]

    private static let outlier: [Field<OutlierSettings>] = [
        .scalar("consecutive_failures", \.consecutiveFailures, .integer(0...10_000)),
        .set("grpc_statuses", \.grpcStatuses, .grpcFailure),
        .set("http_statuses", \.httpStatuses, .httpStatus(400...599)),
        .scalar("interval", \.interval, .wait),
        .scalar("success_rate_deviations", \.successRateDeviations, decimal(0.1...100)),
        .scalar("failure_share", \.failureShare, decimal(0.001...1)),
        .scalar("latency_factor", \.latencyFactor, decimal(1.1...1_000)),
        .scalar("minimum_endpoints", \.minimumEndpoints, .integer(2...1_000)),
        .scalar("minimum_requests", \.minimumRequests, .integer(1...1_000_000)),
        .scalar("ejection_base", \.ejectionBase, .wait),
        .scalar("ejection_max", \.ejectionMax, .age),
        .scalar("max_ejected_share", \.maxEjectedShare, .ratio),
    ]

    private static func decimal(_ range: ClosedRange<Double>) -> ValueSyntax<Double?> {
        ValueSyntax<Double>.decimal(range).orNil("off")
    }

    private static let breakers: [Field<CircuitBreakerSettings>] = [
        .scalar("max_connections", \.maxConnections, count.orNil("off")),
        .scalar("max_requests", \.maxRequests, count.orNil("off")),
        .scalar("max_requests_per_endpoint", \.maxRequestsPerEndpoint, count.orNil("off")),
        .scalar("max_retries", \.maxRetries, ValueSyntax<Int>.integer(0...10_000_000).orNil("off")),
        .optionalSection("adaptive", \.adaptive, blank: AdaptiveLimitSettings(), adaptive),
    ]

    private static let adaptive: [Field<AdaptiveLimitSettings>] = [
        .scalar("minimum", \.minimum, count),
        .scalar("maximum", \.maximum, count),
        .scalar("interval", \.interval, .wait),
        .scalar("relearn_interval", \.relearnInterval, .wait),
    ]

    private static let retryBudget: [Field<RetryBudgetSettings>] = [
        .scalar("ratio", \.ratio, .ratio),
        .scalar("min_per_second", \.minimumPerSecond, .integer(0...1_000_000)),
    ]

    private static let zone: [Field<ZonePreference>] = [
        .scalar("own", \.own, .name, isRequired: true),
        .scalar("attribute", \.attribute, .name),
        .scalar("spill_below", \.spillBelow, .ratio),
    ]

    private static let count: ValueSyntax<Int> = .integer(1...10_000_000)
}
