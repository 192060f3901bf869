import Policy

/// What must hold between the settings of a route.
extension ConfigurationChecks {
    mutating func checkSettings(of route: RouteRule, at place: String) {
        checkRetry(of: route, at: place)
        checkHedging(of: route, at: place)
        checkIdempotence(of: route, at: place)
        checkTimes(of: route, at: place)
        checkAdmission(of: route, at: place)
        checkSubset(of: route, at: place)
    }

    private mutating func checkRetry(of route: RouteRule, at place: String) {
        let retry = route.settings.retry
        checkOrder(retry.backoffBase, "\(place).retry.backoff", retry.backoffMax, "\(place).retry.backoff_max")
        guard isRead("\(place).retry", "\(place).retry.on") else { return }
        if !retry.isUsed {
            // What fails without a status is retried where calls may run twice.
            if retry != RetryPolicy(), !route.settings.mayRepeat, isRead("\(place).idempotent") {
                let hint = "add 'on: [unavailable]'"
                warn("\(place).retry", "\(place).retry has no 'on', so nothing is retried", hint: hint)
            }
            return
        }
        let statuses = retry.grpcStatuses.filter(\.isOftenTheCallersFault).sorted { $0.rawValue < $1.rawValue }
        if let first = statuses.first {
            let hint = "another attempt would get the same answer"
            warn("\(place).retry.on", "\(place).retry.on: \(first.word) is the caller's fault", hint: hint)
        }
        if retry.maxAttempts == 1, isRead("\(place).retry.attempts") {
            let hint = "the first attempt counts too"
            warn("\(place).retry.attempts", "\(place).retry.attempts: with 1 nothing is retried", hint: hint)
        }
        if retry.conditions.contains(.timeout), route.settings.perTryTimeout == nil,
            isRead("\(place).per_try_timeout")
        {
            let message = "\(place).retry.on has 'timeout', but attempts have none"
            warn("\(place).retry.on", message, hint: "add 'per_try_timeout: 1s'")
        }
    }

    private mutating func checkHedging(of route: RouteRule, at place: String) {
        guard let hedging = route.settings.hedging, isRead("\(place).hedging", "\(place).hedging.delay") else { return }
        if route.settings.retry.isUsed {
            let hint = "keep one of them: gRFC A6 forbids both"
            report("\(place).hedging", "\(place) has both 'retry' and 'hedging'", hint: hint)
        }
        if !route.settings.mayRepeat, isRead("\(place).idempotent") {
            let message = "\(place).hedging runs calls more than once, and nothing says which may"
            warn("\(place).hedging", message, hint: "add 'idempotent: true', or a list of methods")
        }
        if let timeout = timeout(of: route), hedging.delay >= timeout, isRead("\(place).timeout") {
            let (delay, limit) = (hedging.delay.configurationText, timeout.configurationText)
            let message = "\(place).hedging.delay (\(delay)) is not less than the route's timeout (\(limit))"
            warn("\(place).hedging.delay", message, hint: "no second attempt is ever made")
        }
    }

    /// Methods that the route never sees.
    private mutating func checkIdempotence(of route: RouteRule, at place: String) {
        guard case .methods(let methods) = route.settings.idempotent, isRead("\(place).idempotent"),
            let service = route.service, isRead("\(place).match.service", "\(place).match.method")
        else { return }
        for (index, method) in methods.enumerated() {
            let parts = method.split(separator: "/")
            let isOther = parts.count == 2 && parts[0] != service
            if isOther || route.method.map({ $0 != parts.last.map(String.init) }) == true {
                let matched = route.method.map { "\(service)/\($0)" } ?? service
                let message = "\(place).idempotent: \(quoted(method)) is no call of \(matched)"
                warn("\(place).idempotent[\(index)]", message, hint: "the route sees no other calls")
            }
        }
    }

    private mutating func checkTimes(of route: RouteRule, at place: String) {
        let settings = route.settings
        if let attempt = settings.perTryTimeout, isRead("\(place).per_try_timeout") {
            if let timeout = timeout(of: route), attempt >= timeout, isRead("\(place).timeout") {
                warnUseless("\(place).per_try_timeout", attempt, than: "the route's timeout", timeout)
            } else if let deadline = settings.maxDeadline, attempt >= deadline, isRead("\(place).max_deadline") {
                warnUseless("\(place).per_try_timeout", attempt, than: "\(place).max_deadline", deadline)
            }
        }
        if case .after(let timeout) = settings.timeout, let deadline = settings.maxDeadline, timeout > deadline,
            isRead("\(place).timeout", "\(place).max_deadline")
        {
            let (text, limit) = (timeout.configurationText, deadline.configurationText)
            warn("\(place).timeout", "\(place).timeout (\(text)) is more than \(place).max_deadline (\(limit))")
        }
    }

    private mutating func warnUseless(_ path: String, _ value: Duration, than name: String, _ limit: Duration) {
        let (text, limitText) = (value.configurationText, limit.configurationText)
        let message = "\(path) (\(text)) is not less than \(name) (\(limitText))"
        warn(path, message, hint: "no time is left for another attempt")
    }

    /// The deadline of calls that bring none, as far as the configuration says.
    private func timeout(of route: RouteRule) -> Duration? {
        switch route.settings.timeout {
        case .after(let timeout): timeout
        case .cluster: configuration.clusters.first { $0.name == route.cluster }?.settings.timeout
        case .none: nil
        }
    }

    private mutating func checkAdmission(of route: RouteRule, at place: String) {
        if let limit = route.settings.rateLimit, limit.requestsPerSecond == nil, limit.perCaller == nil,
            isRead("\(place).rate_limit", "\(place).rate_limit.requests_per_second", "\(place).rate_limit.per_caller")
        {
            let hint = "add 'requests_per_second' or 'per_caller'"
            warn("\(place).rate_limit", "\(place).rate_limit limits nothing", hint: hint)
        }
        checkCallerRate(of: route, at: "\(place).rate_limit")
        guard let fault = route.settings.fault,
            isRead("\(place).fault", "\(place).fault.delay", "\(place).fault.abort")
        else { return }
        if fault.delay == nil, fault.abort == nil {
            return warn("\(place).fault", "\(place).fault does nothing", hint: "add 'delay' or 'abort'")
        }
        let all = FaultPolicy()
        if fault.delay == nil, fault.delayShare != all.delayShare {
            warn("\(place).fault.delay_share", "\(place).fault.delay_share says nothing without 'delay'")
        }
        if fault.abort == nil, fault.abortShare != all.abortShare {
            warn("\(place).fault.abort_share", "\(place).fault.abort_share says nothing without 'abort'")
        }
    }

    private mutating func checkCallerRate(of route: RouteRule, at place: String) {
        let path = "\(place).per_caller.requests_per_second"
        guard let limit = route.settings.rateLimit, let ofRoute = limit.requestsPerSecond,
            let ofCaller = limit.perCaller?.requestsPerSecond, ofCaller > ofRoute,
            isRead(place, path, "\(place).requests_per_second", "\(place).per_caller")
        else { return }
        let (rate, most) = (decimalText(ofCaller), decimalText(ofRoute))
        let message = "\(path) (\(rate)) is more than \(place).requests_per_second (\(most))"
        warn(path, message, hint: "one caller may take all that the route has")
    }

    private mutating func checkSubset(of route: RouteRule, at place: String) {
        let keys = route.settings.subset.keys
        guard !keys.isEmpty, isRead("\(place).subset", "\(place).cluster"),
            keys.allSatisfy({ isRead("\(place).subset.\($0)") }),
            let cluster = configuration.clusters.first(where: { $0.name == route.cluster }), lacksAttributes(cluster)
        else { return }
        let message = "\(place).subset: no endpoint of the cluster \(quoted(cluster.name)) has attributes"
        warn("\(place).subset", message, hint: attributesHint)
    }
}

extension RetryPolicy {
    /// Whether anything is retried at all.
    fileprivate var isUsed: Bool { !conditions.isEmpty || readsStatuses }
}

extension RouteSettings {
    /// Whether there are calls that may run twice.
    var mayRepeat: Bool { idempotent != .none && idempotent != .methods([]) }
}
