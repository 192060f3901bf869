import HTTP2
import Policy
import Telemetry

// MARK: Whether and how a request is served

extension Exchange {
    /// Checks, routes and prepares a new request.
    /// - Parameter now: nanoseconds of the monotonic clock.
    /// - Returns: whether an attempt should follow now; otherwise it was answered, or waits.
    func admit(_ connection: DownstreamConnection, now: Int64) -> Bool {
        guard let request else { return false }
        switch RequestFacts.check(request, limits: connection.settings.limits) {
        case .serve:
            break
        case .reply(let failure):
            if failure.kind == .requestHeadersTooLarge { worker.count(.headersTooLarge) }
            reply(failure)
            return false
        case .reset(let code):
            finish(.reset(code))
            resetDownstream(code)
            return false
        }
        guard let path = request.value(.path) else { return false }
        let authority = request.value(.authority) ?? request.value(.host) ?? UnsafeBufferPointer(start: nil, count: 0)
        let index = worker.uncountedSnapshot.with { $0.routes.firstIndex(authority: authority.span, path: path.span) }
        guard let index else {
            worker.count(.noRoute)
            reply(
                Failure(
                    .noRoute,
                    "no route for \(String(decoding: path.prefix(128), as: UTF8.self)) at authority "
                        + "'\(String(decoding: authority.prefix(128), as: UTF8.self))'"))
            return false
        }
        let pool = worker.pools[worker.uncountedSnapshot.with { $0.routes.routes[index].clusterIndex }]
        self.pool = pool
        worker.uncountedSnapshot.with { follow($0.routes.routes[index].plan) }
        let refusal =
            Admission.refusal(
                plan: ownPlan, pool: pool, request: request, connection: connection, worker: worker, now: now)
            ?? pool.refusal(of: self, now: now)
        if let refusal {
            reply(refusal)
            return false
        }
        pool.noteRequest(now: now)
        pool.uncountedCluster.with { cluster in
            if requestHasBody { requestBody.holdForReplay(limit: cluster.settings.replayBufferBytes) }
            setDeadline(request, pool, cluster)
            switch cluster.settings.balance {
            case .ringHash, .maglev: hashKey = key(cluster.settings.hashKey, request, connection)
            case .roundRobin, .leastRequest, .peakEWMA, .random: break
            }
        }
        let goesOn = isPlain || applyPlan(request, path, pool, now)
        RequestRewrite.apply(to: request, isGRPC: isGRPC, connection: connection)
        return goesOn
    }

    private func key(
        _ source: HashKeySource, _ request: HeaderBlock, _ connection: DownstreamConnection
    ) -> UInt64? {
        switch source {
        case .header(let name):
            return request.value(named: name).map { Balancer.hashKey($0) }
        case .peer:
            let address = connection.peerAddress
            return address.isEmpty ? nil : Balancer.hashKey(address.utf8)
        }
    }

    /// - Returns: whether an attempt should follow now.
    private func applyPlan(
        _ request: HeaderBlock, _ path: UnsafeBufferPointer<UInt8>, _ pool: ClusterPool, _ now: Int64
    ) -> Bool {
        isIdempotent = plan.isIdempotent(path.span)
        isHedged = plan.hedges(isIdempotent: isIdempotent)
        if let patience = plan.settings.idleTimeout { armIdleTimer(patience, now: now) }
        guard let fault = plan.settings.fault else { return true }
        let decision = fault.decide(isMatched: request.matches(fault), random: &worker.random)
        if let delay = decision.delay {
            pool.count(.faultsDelayed)
            pendingAbort = decision.abort
            armPace(at: now + delay)
            return false
        }
        guard let abort = decision.abort else { return true }
        self.abort(abort)
        return false
    }

    /// Answers as the route's fault says.
    func abort(_ fault: FaultPolicy.Abort) {
        pool?.count(.faultsAborted)
        let route = "cluster \(pool?.cluster.name ?? "-")"
        fail(Failure(.faultInjected, "a fault put in on purpose by the route (\(route))", fault: fault))
    }

    /// What was taken of the cluster's limits goes back.
    func giveBackPlaces(_ pool: ClusterPool) {
        giveBackQueuePlace(pool)
        if let place { pool.exchangeEnded(place) }
        if let retryPlace { pool.retryEnded(retryPlace) }
        place = nil
        retryPlace = nil
    }

    /// The exchange is no part of the cluster's queue any more: it is answered, or over.
    func giveBackQueuePlace(_ pool: ClusterPool) {
        guard let queuePlace else { return }
        self.queuePlace = nil
        pool.queue.remove(queuePlace)
    }

    // MARK: Deadlines

    /// Makes the caller's `grpc-timeout` and the route's limits one deadline for all attempts.
    private func setDeadline(_ request: HeaderBlock, _ pool: ClusterPool, _ cluster: Cluster) {
        var timeout: Int64?
        var isUnderstood = true
        if isGRPC, let text = request.value(.grpcTimeout) {
            timeout = GRPCTimeout.nanoseconds(text.span)
            callerTimeout = timeout
            if timeout == nil {
                isUnderstood = false
                pool.count(.timeoutsNotUnderstood)
            }
        }
        if timeout == nil, let ours = routeTimeout(ofCluster: cluster.settings.timeout) {
            timeout = ours.nanoseconds
            deadlineIsOurs = true
        }
        if !isPlain, let most = plan.settings.maxDeadline?.nanoseconds, timeout.map({ $0 > most }) ?? true {
            timeout = most
            deadlineIsOurs = true
        }
        guard let timeout = timeout.map({ min($0, GRPCTimeout.longest) }) else { return }
        self.timeout = timeout
        deadline = startedAt + timeout
        // What is no timeout is the task's to complain about, and stays as it is.
        tellsDeadline = isGRPC && isUnderstood
        let timer = deadlineTimer ?? WheelTimer { [unowned self] in deadlinePassed() }
        deadlineTimer = timer
        worker.timers.arm(timer, at: startedAt + timeout)
    }

    /// The time limit that the route, or the cluster, gives callers without one.
    private func routeTimeout(ofCluster limit: Duration?) -> Duration? {
        if isPlain { return limit ?? (isGRPC ? nil : RouteTimeout.defaultHTTP) }
        return plan.timeout(ofCluster: limit, isGRPC: isGRPC)
    }

    private func deadlinePassed() {
        guard caller != nil else { return }
        let now = worker.turn.now
        // A caller in a hurry says nothing about a task that answers others, nor does the end of an attempt that came
        // late.
        let patience = deadlineIsOurs ? min(Self.fairWait, timeout / 2) : Self.fairWait
        for attempt in liveAttempts where attempt.state == .running && !attempt.hasAnswered {
            if attempt.age(now: now) >= patience || attempt.noteMissed(for: Self.fairWait, now: now) {
                attempt.timeOut(in: pool)
            }
        }
        let attempt = winner ?? liveAttempts.last
        let place =
            switch attempt?.endpoint {
            case _ where outcome != nil: "waiting for the caller to take the response"
            case let endpoint? where state == .responding: "reading the response of \(endpoint.name)"
            case let endpoint? where attempt?.state == .waiting: "waiting for a connection to \(endpoint.name)"
            case let endpoint?: "waiting for the response of \(endpoint.name)"
            case nil where plan.settings.fault?.delay != nil:
                "held back by the route's fault, or waiting for an endpoint"
            case nil: "waiting for an endpoint"
            }
        failNow(
            Failure(
                .deadlineExceeded,
                "deadline of \(Double(timeout / 1_000) / 1_000_000) s passed while \(place) "
                    + "(cluster \(pool?.cluster.name ?? "-"))"))
    }

    /// Nanoseconds after which a task without a sign of its response is at fault, whatever the caller's deadline.
    private static var fairWait: Int64 { 1_000_000_000 }
}
