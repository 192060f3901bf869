import Policy

/// The keys of one route.
enum RouteSchema {
    static let route = ElementTable<RouteRule>(
        matching + times + repeating + admission,
        draft: { _ in RouteRule(cluster: "") },
        redraft: { $0 },
        finish: { $0 })

    private static let matching: [Field<RouteRule>] = [
        .optional("name", \.name, .name),
        .group(
            "match",
            [
                .optional("authority", \.authority, .authority),
                .optional("service", \.service, .grpcService),
                .optional("method", \.method, .grpcMethod),
                .optional("path", \.pathPrefix, .pathPrefix),
            ]),
        .scalar("cluster", \.cluster, .name, isRequired: true),
        .texts("subset", \.settings.subset, .attributeValue),
    ]

    private static let times: [Field<RouteRule>] = [
        .scalar("timeout", \.settings.timeout, .routeTimeout),
        .scalar("max_deadline", \.settings.maxDeadline, ValueSyntax<Duration>.age.orNil("off")),
        .scalar("per_try_timeout", \.settings.perTryTimeout, ValueSyntax<Duration>.wait.orNil("off")),
        .scalar("idle_timeout", \.settings.idleTimeout, ValueSyntax<Duration>.age.orNil("off")),
    ]

    private static let repeating: [Field<RouteRule>] = [
        .section("retry", \.settings.retry, retry),
        .optionalSection("hedging", \.settings.hedging, blank: HedgingPolicy(), hedging),
        idempotent,
    ]

    private static let admission: [Field<RouteRule>] = [
        .optionalSection("rate_limit", \.settings.rateLimit, blank: RateLimitSettings(), rateLimit),
        .optionalSection("fault", \.settings.fault, blank: FaultPolicy(), fault),
    ]

    private static let retry: [Field<RetryPolicy>] = [
        .values("on", \.triggers) { _ in .retryTrigger },
        .scalar("attempts", \.maxAttempts, .integer(1...10)),
        .scalar("backoff", \.backoffBase, .wait),
        .scalar("backoff_max", \.backoffMax, .wait),
    ]

    private static let hedging: [Field<HedgingPolicy>] = [
        .scalar("delay", \.delay, .waitOrNone),
        .scalar("attempts", \.maxAttempts, .integer(2...10)),
        .set("non_fatal", \.nonFatalStatuses, .grpcFailure),
    ]

    /// `true` and `false` for all calls, or a list of methods.
    private static let idempotent = Field<RouteRule>("idempotent") { node, place, rule, reading in
        if case .sequence(let elements) = node.content {
            rule.settings.idempotent = .methods(reading.values(of: elements, as: .methodOfService, path: place))
        } else if let answer = reading.value(of: node, as: .idempotence, path: place) {
            rule.settings.idempotent = answer
        }
    } write: { rule, writer in
        switch rule.settings.idempotent {
        case .methods(let methods): writer.list("idempotent", methods, ValueSyntax<String>.methodOfService)
        case .none, .all: writer.pair("idempotent", String(rule.settings.idempotent == .all))
        }
    }

    private static let rateLimit: [Field<RateLimitSettings>] = [
        .scalar("requests_per_second", \.requestsPerSecond, ValueSyntax<Double>.perSecond.orNil("off")),
        .scalar("burst", \.burst, .integer(1...1_000_000_000)),
        .optionalSection("per_caller", \.perCaller, blank: CallerRateLimitSettings(), callerRateLimit),
    ]

    private static let callerRateLimit: [Field<CallerRateLimitSettings>] = [
        .scalar("requests_per_second", \.requestsPerSecond, .perSecond),
        .scalar("burst", \.burst, .integer(1...1_000_000_000)),
        .scalar("header", \.header, ValueSyntax<String>.headerName.orNil("off")),
        .scalar("max_callers", \.maxCallers, .integer(1...1_000_000)),
    ]

    private static let fault: [Field<FaultPolicy>] = [
        .scalar("header", \.condition, ValueSyntax<FaultHeader>.faultHeader.orNil("off")),
        .scalar("delay", \.delay, ValueSyntax<Duration>.wait.orNil("off")),
        .scalar("delay_share", \.delayShare, .ratio),
        .scalar("abort", \.abort, ValueSyntax<FaultPolicy.Abort>.faultAbort.orNil("off")),
        .scalar("abort_share", \.abortShare, .ratio),
    ]
}

extension ValueSyntax<Double> {
    /// A rate; below one per second there are a few per hour.
    fileprivate static let perSecond = decimal(0.001...1_000_000_000)
}

extension ValueSyntax<IdempotentCalls> {
    /// `true` or `false`, or one method's name.
    fileprivate static let idempotence = ValueSyntax("true, false or a list of methods") {
        (text) throws(ValueSyntaxError) in
        if let answer = try? ValueSyntax<Bool>.boolean.parse(text) { return answer ? .all : .none }
        return .methods([try ValueSyntax<String>.methodOfService.parse(text)])
    } render: {
        // Lists are written by the field itself.
        String($0 == .all)
    }
}
