import HTTP2
import Policy
import Synchronization
import Telemetry

// MARK: Which task is tried, and whether another one is

extension Exchange {
    /// Attempts whose stream is not closed yet, or that wait for one.
    var liveAttempts: [Attempt] {
        (primary.isLive ? [primary] : []) + others
    }

    private var hasHopefulAttempt: Bool {
        primary.isHopeful || others.contains(where: \.isHopeful)
    }

    func hasHopefulAttempt(besides attempt: Attempt) -> Bool {
        primary !== attempt && primary.isHopeful || others.contains { $0 !== attempt && $0.isHopeful }
    }

    /// Makes the first or the next attempt. Runs at the end of a turn.
    /// - Parameter now: nanoseconds of the monotonic clock.
    func start(now: Int64) {
        isOnReadyList = false
        guard let caller, outcome == nil else {
            // The caller left in the batch that brought the request: nothing was started.
            retireIfOver()
            return
        }
        if state == .fresh {
            state = .attempting
            guard caller.connection.with({ admit($0, now: now) }) else { return }
        }
        guard state == .attempting, let pool else { return }
        if let pendingAbort { return abort(pendingAbort) }
        // A push-back that came when the next hedge was on its way already. Replays are none of its concern.
        if hedgeNotBefore > now, nextIsPaid || hasHopefulAttempt { return armPace(at: hedgeNotBefore) }
        nextIsPaid = false
        if hasHopefulAttempt {
            hedge(pool, now: now)
        } else {
            attempt(pool, now: now)
        }
    }

    /// - Parameter copies: what an attempt beside another one sends.
    private func attempt(_ pool: ClusterPool, now: Int64, copies: (request: HeaderBlock, body: BodyQueue?)? = nil) {
        let isExtra = nextIsExtra
        nextIsExtra = false
        let followsUnsent = nextFollowsUnsent
        nextFollowsUnsent = false
        let attempt = takeAttempt()
        attempt.begin(now: now, copies: copies)
        if isExtra {
            attempt.place = retryPlace
            retryPlace = nil
            extraAttempts += 1
        }
        if let request = attempt.request { describe(request, now: now) }
        if !isPlain, let perTry = plan.settings.perTryTimeout { attempt.armTimer(at: now + perTry.nanoseconds) }
        if pool.uncountedCluster.with({ $0.endpoints.isEmpty }) {
            pool.waitForEndpoint(attempt)
            return
        }
        // Who could not be reached a moment ago is not asked again at once, whatever there is to be retried.
        let mayRepeat = !followsUnsent && (isExtra || refusedAttempts > 0)
        guard let pick = pick(pool, mayRepeat: mayRepeat, now: now) else {
            release(attempt)
            if hasHopefulAttempt { return }
            if followsUnsent, let lastFailure, retriesUnsent(lastFailure) { return }
            fail(lastFailure ?? Balancer.whyNone(in: pool.cluster, tried: tried, subset: plan.settings.subset))
            return
        }
        if let probe = pick.probe { pool.probe(probe) }
        if isHedged, let hedging = plan.settings.hedging { armHedge(hedging, now: now) }
        pool.submit(attempt, to: pick)
    }

    /// An endpoint that was not tried; when all were, any of them if the task's answer was no proof against it.
    private func pick(_ pool: ClusterPool, mayRepeat: Bool, now: Int64) -> Balancer.Pick? {
        let first = pick(pool, now: now)
        guard first == nil, mayRepeat, !tried.isEmpty else { return first }
        // Anybody but the one that has just failed, if there is anybody.
        tried.keepLast()
        if let other = pick(pool, now: now) { return other }
        tried.removeAll()
        return pick(pool, now: now)
    }

    private func pick(_ pool: ClusterPool, now: Int64) -> Balancer.Pick? {
        // What is empty is not passed on from where it lies: that would count references.
        pool.uncountedCluster.with { cluster in
            Balancer.pick(
                in: cluster, tried: tried.isEmpty ? TriedEndpoints() : tried, key: hashKey,
                subset: isPlain ? [:] : plan.settings.subset, now: now, random: &worker.random)
        }
    }

    private func takeAttempt() -> Attempt {
        if !primary.isLive { return primary }
        let attempt = Attempt(exchange: self)
        others.append(attempt)
        return attempt
    }

    /// Writes into an attempt's request what is left of the time.
    func tellDeadline(_ request: HeaderBlock, now: Int64) {
        if tellsDeadline, let deadline {
            request.set(.grpcTimeout, "grpc-timeout", volatile: GRPCTimeout.text(deadline - now))
        }
    }

    /// Writes into the request what differs from attempt to attempt.
    private func describe(_ request: HeaderBlock, now: Int64) {
        tellDeadline(request, now: now)
        if isGRPC, extraAttempts > 0 {
            let told = callersAttempts ?? request.value(.grpcPreviousAttempts).flatMap(RequestFacts.number) ?? 0
            callersAttempts = told
            request.set(
                .grpcPreviousAttempts, "grpc-previous-rpc-attempts", volatile: String(told + extraAttempts).utf8)
        }
    }

    /// The attempt is over; nothing refers to it any more.
    func release(_ attempt: Attempt) {
        if winner === attempt { winner = nil }
        attempt.clear()
        if attempt !== primary { others.removeAll { $0 === attempt } }
    }

    // MARK: Replays: no task has seen it

    func attemptUnsent(_ attempt: Attempt, _ failure: Failure, endpoint: Endpoint?, isOutOfConnections: Bool = false) {
        guard outcome == nil, caller != nil, let pool else {
            release(attempt)
            return retireIfOver()
        }
        lastFailure = failure
        // Another endpoint may have a connection where this one may get none; looking for it is no try.
        if !isOutOfConnections { unsentAttempts += 1 }
        if let endpoint {
            tried.insert(endpoint)
            // A limit of ours says nothing about the endpoint.
            if failure.kind == .connectFailure { endpoint.failuresTotal.add(1, ordering: .relaxed) }
        }
        let isReplayed =
            (isOutOfConnections || mayConnectAgain(pool.cluster, failure)) && mayReplay(pool, besides: attempt)
        if isReplayed { discount(attempt) }
        release(attempt)
        if isReplayed {
            nextFollowsUnsent = true
            rewindRequest()
            enqueueOnce()
            pool.count(.replaysUnsent)
        } else if !retriesUnsent(failure), !hasHopefulAttempt {
            fail(failure)
        }
    }

    private func retriesUnsent(_ failure: Failure) -> Bool {
        switch failure.kind {
        case .connectFailure: retries(after: .connectFailure, of: nil, pushback: nil)
        case .deadlineExceeded: retries(after: .timedOut, of: nil, pushback: nil)
        default: false
        }
    }

    /// Whether another endpoint may be tried after attempts of which nothing was written. Their number is limited; but
    /// tasks that are gone must not fail a call that others would serve, so that further ones are tried while there is
    /// time and there are any that nobody failed to reach.
    private func mayConnectAgain(_ cluster: Cluster, _ failure: Failure) -> Bool {
        let limit = cluster.settings.maxConnectAttempts
        if unsentAttempts < limit { return true }
        guard failure.kind == .connectFailure,
            worker.turn.now - startedAt < cluster.settings.connectTimeout.nanoseconds * Int64(limit)
        else { return false }
        return hasUntried(in: cluster) { !$0.isUnreachable }
    }

    /// Whether an endpoint that the route may choose was not tried yet, and fits.
    private func hasUntried(in cluster: Cluster, where fits: (Endpoint) -> Bool = { _ in true }) -> Bool {
        let subset = plan.settings.subset
        return cluster.endpoints.indices.contains { index in
            let endpoint = cluster.endpoints[index]
            return !tried.contains(endpoint) && fits(endpoint)
                && (subset.isEmpty || cluster.traits[index].matches(subset))
        }
    }

    /// The attempt was taken off an endpoint that left the set before anything was written; it counts as none.
    func attemptWithdrawn(_ attempt: Attempt) {
        guard outcome == nil, caller != nil else {
            release(attempt)
            return retireIfOver()
        }
        discount(attempt)
        release(attempt)
        enqueueOnce()
    }

    /// What no task has processed is no attempt of the policy's: whoever takes its place is.
    private func discount(_ attempt: Attempt) {
        guard let place = attempt.place else { return }
        attempt.place = nil
        if let retryPlace { pool?.retryEnded(retryPlace) }
        retryPlace = place
        extraAttempts -= 1
        nextIsExtra = true
    }

    /// - Returns: false when there is nobody else, or the request is not held any more.
    private func mayReplay(_ pool: ClusterPool, besides attempt: Attempt) -> Bool {
        requestIsHeld && !hasHopefulAttempt(besides: attempt) && hasUntried(in: pool.cluster)
    }

    var requestIsHeld: Bool { !requestHasBody || requestBody.canStartOver }

    // MARK: After a task has seen it

    /// The stream of an attempt is gone.
    /// - Parameter closing: how; nil when the attempt had been given up.
    func attemptClosed(_ attempt: Attempt, _ closing: UpstreamClosing?) {
        if let closing, outcome == nil, caller != nil {
            settle(attempt, closing)
        }
        release(attempt)
        retireIfOver()
    }

    private func settle(_ attempt: Attempt, _ closing: UpstreamClosing) {
        let name = attempt.endpointName
        switch closing {
        case .completed:
            // The response was complete before, and the exchange with it. Without a response this is a reset that says
            // nothing is wrong, which is passed on like any other.
            attempt.conclude(.reset, in: pool)
            endOrRetry(after: attempt.hasAnswered ? .lost : .reset, of: attempt) { passOnReset(.noError) }
        case .unsent(let failure):
            attemptUnsent(attempt, failure, endpoint: attempt.endpoint)
        case .refused where attempt.hasAnswered:
            attempt.conclude(.lost, in: pool)
            let failure = Failure(.connectionLost, "\(name) refused the stream after it had answered")
            endOrRetry(after: .lost, of: attempt) { fail(failure) }
        case .refused(let failure):
            refused(attempt, failure)
        case .reset(let code):
            attempt.conclude(.reset, in: pool)
            // A task that has begun to answer has seen the call; the policy's reset is one before the head.
            endOrRetry(after: attempt.hasAnswered ? .lost : .reset, of: attempt) { passOnReset(code) }
        case .failed(let failure, let counts):
            attempt.conclude(counts ? .lost : .abandoned, in: pool)
            let failure = Failure(failure.kind, "\(name) \(failure.message) (cluster \(pool?.cluster.name ?? "-"))")
            endOrRetry(after: .lost, of: attempt) { fail(failure) }
        }
    }

    func endOrRetry(after result: AttemptResult, of attempt: Attempt, _ end: () -> Void) {
        attempt.abandon()
        if !retries(after: result, of: attempt, pushback: nil) { end() }
    }

    /// Certainly not processed: tried once more, elsewhere if there is an elsewhere.
    private func refused(_ attempt: Attempt, _ failure: Failure) {
        attempt.conclude(.refused, in: pool)
        lastFailure = failure
        if let endpoint = attempt.endpoint { tried.insert(endpoint) }
        refusedAttempts += 1
        attempt.abandon()
        guard let pool else { return passOnReset(.refusedStream) }
        if refusedAttempts < pool.cluster.settings.maxRefusedAttempts, requestIsHeld, !hasHopefulAttempt {
            discount(attempt)
            rewindRequest()
            enqueueOnce()
            pool.count(.replaysRefused)
        } else if !retries(after: .refused, of: attempt, pushback: nil), !hasHopefulAttempt {
            if !mayHaveRun {
                // Certainly not processed, so the caller's library may try again.
                passOnReset(.refusedStream)
            } else {
                // An attempt before this one may have been processed.
                fail(failure)
            }
        }
    }

    /// Sees whether another attempt follows, or others go on, and gives this one up if so.
    /// - Parameters:
    ///   - attempt: nil when it is over already.
    ///   - pushback: what the task asked for.
    /// - Returns: false when what came is the caller's answer.
    func retries(after result: AttemptResult, of attempt: Attempt?, pushback: RetryPushback?) -> Bool {
        if attempt != nil, result != .refused { mayHaveRun = true }
        guard state == .attempting, winner == nil, outcome == nil, let pool else { return false }
        if isHedged, let hedging = plan.settings.hedging {
            return hedges(on: hedging, after: result, of: attempt, pushback: pushback, pool)
        }
        guard requestIsHeld else { return false }
        let now = worker.turn.now
        let decision = plan.settings.retry.decide(
            after: result, isIdempotent: isIdempotent, attempts: extraAttempts + 1, pushback: pushback,
            timeLeft: deadline.map { $0 - now }, random: &worker.random)
        switch decision {
        case .final, .exhausted:
            return false
        case .stopped:
            pool.count(.retriesStopped)
            return false
        case .retry(let pause):
            guard takeRetry(pool, now: now) else { return false }
            if let endpoint = attempt?.endpoint { tried.insert(endpoint) }
            attempt?.abandon()
            rewindRequest()
            pool.count(.retries)
            if pause == 0 { enqueueOnce() } else { armPace(at: now + pause) }
            return true
        }
    }

    /// There will be no further attempt: what was paid for one goes back.
    func giveBackRetry() {
        guard let place = retryPlace else { return }
        retryPlace = nil
        nextIsExtra = false
        pool?.retryEnded(place)
    }

    /// Pays for a retry or a hedge. The exchange keeps what it got for the next attempt.
    private func takeRetry(_ pool: ClusterPool, now: Int64) -> Bool {
        guard let place = pool.takeRetry(now: now) else { return false }
        if let retryPlace { pool.retryEnded(retryPlace) }
        retryPlace = place
        nextIsExtra = true
        nextIsPaid = true
        return true
    }

    func armPace(at time: Int64) {
        let timer = paceTimer ?? WheelTimer { [unowned self] in enqueueOnce() }
        paceTimer = timer
        worker.timers.arm(timer, at: time)
    }

    /// An attempt's own timer: it has waited long enough for its response, or for what follows the head.
    func attemptTimerFired(_ attempt: Attempt) {
        guard outcome == nil, state == .attempting, attempt.isHopeful else { return }
        if attempt.heldHead != nil { return commitHeld(attempt) }
        pool?.count(.perTryTimeouts)
        let cluster = "cluster \(pool?.cluster.name ?? "-")"
        if attempt.state == .waiting {
            // It waits for us as much as for the task, which has seen nothing of it.
            let failure = Failure(
                .deadlineExceeded,
                "no stream on \(attempt.endpointName) within the attempt's time (\(cluster))")
            return attemptUnsent(attempt, failure, endpoint: attempt.endpoint)
        }
        attempt.timeOut(in: pool)
        let failure = Failure(
            .deadlineExceeded, "\(attempt.endpointName) did not answer within the attempt's time (\(cluster))")
        lastFailure = failure
        if !retries(after: .timedOut, of: attempt, pushback: nil) { fail(failure) }
    }

    // MARK: Hedging

    private func armHedge(_ hedging: HedgingPolicy, now: Int64) {
        guard !hedgingStopped, extraAttempts + 1 < hedging.maxAttempts else { return }
        armPace(at: max(now + hedging.delay.nanoseconds, hedgeNotBefore))
    }

    /// Makes an attempt beside those that run, if the request is complete and held.
    private func hedge(_ pool: ClusterPool, now: Int64) {
        guard winner == nil, isHedged, let hedging = plan.settings.hedging, !hedgingStopped,
            extraAttempts + 1 < hedging.maxAttempts, let request, requestIsHeld, requestBody.trailers == nil
        else { return }
        guard requestBody.isFinished else {
            hedgeIsDue = true
            return
        }
        // One that was withdrawn is paid for.
        guard nextIsExtra || takeRetry(pool, now: now) else { return }
        for attempt in liveAttempts {
            if let endpoint = attempt.endpoint, !tried.contains(endpoint) { tried.insert(endpoint) }
        }
        let copy = worker.blocks.take()
        copy.append(contentsOf: request)
        pool.count(.hedges)
        attempt(pool, now: now, copies: (copy, requestHasBody ? requestBody.copyWhole() : nil))
    }

    private func hedges(
        on hedging: HedgingPolicy, after result: AttemptResult, of attempt: Attempt?, pushback: RetryPushback?,
        _ pool: ClusterPool
    ) -> Bool {
        guard hedging.isNonFatal(result) else { return false }
        let now = worker.turn.now
        var next = now
        switch pushback {
        case .never: hedgingStopped = true
        case .after(let pause) where pause > RetryPushback.longest: hedgingStopped = true
        case .after(let pause):
            next += pause
            hedgeNotBefore = next
        case nil: break
        }
        let othersRun = attempt.map { hasHopefulAttempt(besides: $0) } ?? hasHopefulAttempt
        let mayFollow =
            !hedgingStopped && extraAttempts + 1 < hedging.maxAttempts && requestIsHeld && requestBody.isFinished
            && deadline.map { next < $0 } ?? true
        guard othersRun || mayFollow else { return false }
        if !othersRun {
            // The next one takes the place of the last: it is no copy beside another, but paid for like one.
            guard takeRetry(pool, now: now) else { return false }
            pool.count(.hedges)
            rewindRequest()
        }
        if let endpoint = attempt?.endpoint { tried.insert(endpoint) }
        attempt?.abandon()
        if mayFollow { armPace(at: max(next, hedgeNotBefore)) }
        return true
    }

    // MARK: Ending

    /// Gives up every attempt, those of which nothing was written at once.
    func abandonAttempts(but kept: Attempt? = nil, code: ErrorCode = .cancel) {
        if primary.isLive, primary !== kept, primary.abandon(code) { release(primary) }
        if others.isEmpty { return }
        for attempt in others where attempt !== kept && attempt.abandon(code) { release(attempt) }
    }
}
