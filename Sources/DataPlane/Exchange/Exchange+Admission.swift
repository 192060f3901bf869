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
            finish(.reset)
            resetDownstream(code)
            return false
        }
        guard let path = request.value(.path) else { return false }
        let authority = request.value(.authority) ?? request.value(.host) ?? UnsafeBufferPointer(start: nil, count: 0)
        let snapshot = worker.snapshot
        guard let route = snapshot.routes.match(authority: authority.span, path: path.span) else {
            worker.count(.noRoute)
            reply(
                Failure(
                    .noRoute,
                    "no route for \(String(decoding: path.prefix(128), as: UTF8.self)) at authority "
                        + "'\(String(decoding: authority.prefix(128), as: UTF8.self))'"))
            return false
        }
        let pool = worker.pools[route.clusterIndex]
        self.pool = pool
        plan = route.plan
        pool.noteRequest(now: now)
        if requestHasBody { requestBody.holdForReplay(limit: pool.cluster.settings.replayBufferBytes) }
        setDeadline(request, pool)
        if plan !== RoutePlan.plain { applyPlan(request, path, now) }
        RequestRewrite.apply(to: request, isGRPC: isGRPC, connection: connection)
        return true
    }

    private func applyPlan(_ request: HeaderBlock, _ path: UnsafeBufferPointer<UInt8>, _ now: Int64) {
        isIdempotent = plan.isIdempotent(path.span)
        if let patience = plan.settings.idleTimeout { armIdleTimer(patience, now: now) }
    }

    // MARK: Deadlines

    /// Makes the caller's `grpc-timeout` and the route's limits one deadline for all attempts.
    private func setDeadline(_ request: HeaderBlock, _ pool: ClusterPool) {
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
        if timeout == nil, let ours = plan.settings.timeout(cluster: pool.cluster.settings, isGRPC: isGRPC) {
            timeout = ours.nanoseconds
            deadlineIsOurs = true
        }
        if let most = plan.settings.maxDeadline?.nanoseconds, timeout.map({ $0 > most }) ?? true {
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

    private func deadlinePassed() {
        guard outcome == nil, caller != nil else { return }
        let now = worker.turn.now
        for attempt in liveAttempts where !attempt.hasAnswered {
            // A caller in a hurry says nothing about the task.
            if deadlineIsOurs || attempt.age(now: now) >= Self.fairWait { attempt.conclude(.timedOut, in: pool) }
        }
        let attempt = winner ?? liveAttempts.last
        let place =
            switch attempt?.endpoint {
            case let endpoint? where state == .responding: "reading the response of \(endpoint.name)"
            case let endpoint?: "waiting for the response of \(endpoint.name)"
            case nil: "waiting for an endpoint"
            }
        fail(
            Failure(
                .deadlineExceeded,
                "deadline of \(Double(timeout / 1_000_000) / 1_000) s passed while \(place) "
                    + "(cluster \(pool?.cluster.name ?? "-"))"))
    }

    /// Nanoseconds after which a task without a sign of its response is at fault, whatever the caller's deadline.
    private static var fairWait: Int64 { 1_000_000_000 }
}
