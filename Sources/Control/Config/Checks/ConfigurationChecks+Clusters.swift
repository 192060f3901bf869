import Policy

/// What must hold between the settings that keep a cluster going, and those of a listener's connections.
extension ConfigurationChecks {
    mutating func checkAge(of listener: ListenerSettings, at place: String) {
        guard listener.maxConnectionAgeGrace != nil, listener.maxConnectionAge == nil,
            isRead("\(place).max_connection_age")
        else { return }
        let message = "\(place).max_connection_age_grace says nothing without 'max_connection_age'"
        warn("\(place).max_connection_age_grace", message, hint: "add 'max_connection_age: 30m'")
    }

    mutating func checkResilience(of cluster: ClusterRule, at place: String) {
        let settings = cluster.settings
        checkOutlier(settings.outlier, at: "\(place).outlier_detection")
        if let check = settings.healthCheck {
            let path = "\(place).health_check"
            checkOrder(check.timeout, "\(path).timeout", check.interval, "\(path).interval")
        }
        if let adaptive = settings.breakers.adaptive {
            let path = "\(place).circuit_breakers.adaptive"
            checkOrder(adaptive.minimum, "\(path).minimum", adaptive.maximum, "\(path).maximum")
        }
        if settings.zone != nil, lacksAttributes(cluster), isRead("\(place).zone", "\(place).zone.own") {
            warn("\(place).zone", "\(place).zone: no endpoint of the cluster has attributes", hint: attributesHint)
        }
        checkHashing(settings, at: place)
        checkSlowStart(settings, at: place)
        checkCounts(settings.breakers, at: "\(place).circuit_breakers")
        checkRepeats(of: cluster, at: place)
    }

    /// Whether no source of the cluster can tell attributes of endpoints.
    func lacksAttributes(_ cluster: ClusterRule) -> Bool {
        let isFromFiles = cluster.discover.contains { if case .file = $0 { true } else { false } }
        return !isFromFiles && !cluster.discover.isEmpty && isRead("clusters.\(cluster.name).discover")
    }

    var attributesHint: String { "they come from file:// sources only" }

    private mutating func checkOutlier(_ outlier: OutlierSettings, at place: String) {
        guard outlier.isEnabled else { return }
        checkOrder(outlier.ejectionBase, "\(place).ejection_base", outlier.ejectionMax, "\(place).ejection_max")
        let causes = ["consecutive_failures", "success_rate_deviations", "failure_share", "latency_factor"]
        if outlier.consecutiveFailures == 0, outlier.successRateDeviations == nil, outlier.failureShare == nil,
            outlier.latencyFactor == nil, causes.allSatisfy({ isRead("\(place).\($0)") })
        {
            warn(place, "\(place) ejects nobody: it has no cause to", hint: "write 'off', or set one of the causes")
        }
        let statuses = outlier.grpcStatuses.filter(\.isOftenTheCallersFault).sorted { $0.rawValue < $1.rawValue }
        if let first = statuses.first, isRead("\(place).grpc_statuses") {
            let hint = "one bad caller would get the endpoints ejected"
            warn("\(place).grpc_statuses", "\(place).grpc_statuses: \(first.word) is the caller's fault", hint: hint)
        }
    }

    private mutating func checkHashing(_ settings: ClusterSettings, at place: String) {
        guard settings.hashKey != .peer, isRead("\(place).hash_on", "\(place).balance") else { return }
        guard !settings.balance.goesByKey else { return }
        let hint = "set 'balance: ring_hash' or 'balance: maglev'"
        let message = "\(place).hash_on says nothing with 'balance: \(settings.balance.rawValue)'"
        warn("\(place).hash_on", message, hint: hint)
    }

    private mutating func checkSlowStart(_ settings: ClusterSettings, at place: String) {
        guard settings.slowStart != nil, settings.balance.goesByKey, isRead("\(place).slow_start", "\(place).balance")
        else { return }
        let message = "\(place).slow_start says nothing with 'balance: \(settings.balance.rawValue)'"
        warn("\(place).slow_start", message, hint: "a key has its endpoint, new or not")
    }

    private mutating func checkCounts(_ breakers: CircuitBreakerSettings, at place: String) {
        let path = "\(place).max_requests_per_endpoint"
        guard let ofEndpoint = breakers.maxRequestsPerEndpoint, let ofCluster = breakers.maxRequests,
            ofEndpoint > ofCluster, isRead(path, "\(place).max_requests")
        else { return }
        let message = "\(path) (\(ofEndpoint)) is more than \(place).max_requests (\(ofCluster))"
        warn(path, message, hint: "no endpoint ever has so many")
    }

    /// A budget, a limit or a buffer of nothing against routes that want retries.
    private mutating func checkRepeats(of cluster: ClusterRule, at place: String) {
        guard
            let index = configuration.routes.firstIndex(where: { $0.cluster == cluster.name && $0.wantsRepeats })
        else { return }
        let settings = cluster.settings
        let budget = "\(place).retry_budget"
        if settings.retryBudget.ratio == 0, settings.retryBudget.minimumPerSecond == 0,
            isRead(budget, "\(budget).ratio", "\(budget).min_per_second")
        {
            warn(budget, "\(budget) allows no retries, and routes[\(index)] asks for them")
        }
        let limit = "\(place).circuit_breakers.max_retries"
        if settings.breakers.maxRetries == 0, isRead(limit) {
            warn(limit, "\(limit) allows no retries, and routes[\(index)] asks for them")
        }
        let buffer = "\(place).replay_buffer"
        if settings.replayBufferBytes == 0, isRead(buffer) {
            let hint = "what was sent of a request cannot be sent again"
            warn(buffer, "\(buffer) holds no request, and routes[\(index)] asks for retries", hint: hint)
        }
    }
}

extension BalancePolicy {
    /// Whether a stream's endpoint is that of its key.
    fileprivate var goesByKey: Bool {
        switch self {
        case .ringHash, .maglev: true
        case .roundRobin, .leastRequest, .peakEWMA, .random: false
        }
    }
}

extension RouteRule {
    /// Whether any of its calls is repeated on purpose.
    fileprivate var wantsRepeats: Bool {
        settings.hedging != nil || settings.mayRepeat || !settings.retry.triggers.isEmpty
    }
}

extension GRPCStatus {
    /// Whether servers say it mostly of what the caller asked or did.
    var isOftenTheCallersFault: Bool {
        switch self {
        case .ok, .cancelled, .invalidArgument, .notFound, .alreadyExists, .permissionDenied, .failedPrecondition,
            .outOfRange, .unauthenticated:
            true
        case .unknown, .deadlineExceeded, .resourceExhausted, .aborted, .unimplemented, .internal, .unavailable,
            .dataLoss:
            false
        }
    }
}
