import HTTP2
import NIOCore
import Policy
import Synchronization
import Telemetry

/// One request and its response, on their way between a caller's stream and a task's.
///
/// An exchange ends exactly once with exactly one outcome. It is made when a request's headers are complete, starts
/// its first *attempt* at the end of that turn (a request that is reset in the same batch of reads never reaches a
/// task), makes further attempts as long as it is certain that nothing was processed, and ends when both of its
/// streams are gone.
///
/// ```
///   fresh ──start──▶ attempting ──response head──▶ responding ──both streams closed──▶ over
///     │                │  ▲ └──unprocessed──┘            ▲
///     └──── refused ───┴──────── local reply ────────────┘
/// ```
///
/// Reused: ``clear()`` makes it as new. Confined to its worker's loop.
final class Exchange {
    enum State {
        /// The request's headers are here; nothing was done yet.
        case fresh
        /// No response head yet: on a task's stream, waiting for a slot, or between two attempts.
        case attempting
        /// The response head (the task's or ours) was handed to the caller's stream.
        case responding
        /// Both streams are gone.
        case over
    }

    unowned(unsafe) let worker: Worker
    private(set) var state = State.fresh

    // The caller's side.
    /// The worker holds the connection, and the connection's session the stream, until ``downstreamClosed()``.
    private var caller: (connection: Borrowed<DownstreamConnection>, stream: Borrowed<Stream>)?
    private(set) var request: HeaderBlock?
    let requestBody = BodyQueue()
    private var requestHasBody = false
    private(set) var isGRPC = false
    private var isHead = false

    // The task's side.
    private(set) var pool: ClusterPool?
    private(set) var endpoint: Endpoint?
    /// The pool holds the connection, and the connection's session the stream, until ``upstreamClosed(_:)``.
    private var task: (connection: Borrowed<UpstreamConnection>, stream: Borrowed<Stream>)?
    private var tried = TriedEndpoints()
    private var unsentAttempts = 0
    private var refusedAttempts = 0
    /// Where the exchange waits for a slot or an endpoint; cancelled with the exchange.
    var ticket: PendingTicket?
    private var lastFailure: Failure?

    // The response.
    private var response: HeaderBlock?
    private var interim: [HeaderBlock] = []
    let responseBody = BodyQueue()
    private var outcome: Outcome?
    private(set) var startedAt: Int64 = 0
    private var deadlineTimer: WheelTimer?
    private var timeout: Int64 = 0
    /// Response bytes passed on as of the last look of ``stallRounds(max:)``, and looks without progress in a row.
    private var stallMark = 0
    private var stallCount = 0
    private var responseBytesSent = 0
    private var isOnReadyList = false

    /// How the exchange ended, as it is counted.
    private enum Outcome {
        case grpc(Int)
        case http(Int)
        case local(Failure)
        case cancelled
        case reset
    }

    init(worker: Worker) {
        self.worker = worker
    }

    @inline(__always)
    private func withCaller(_ body: (DownstreamConnection, Stream) -> Void) {
        guard let caller else { return }
        caller.connection.with { connection in caller.stream.with { body(connection, $0) } }
    }

    @inline(__always)
    private func withTask(_ body: (UpstreamConnection, Stream) -> Void) {
        guard let task else { return }
        task.connection.with { connection in task.stream.with { body(connection, $0) } }
    }

    // MARK: From the caller

    /// The request's headers are complete.
    func begin(
        _ stream: Stream, on connection: DownstreamConnection, request: HeaderBlock, endStream: Bool, now: Int64
    ) {
        caller = (Borrowed(connection), Borrowed(stream))
        stream.owner = self
        self.request = request
        requestHasBody = !endStream
        if endStream { requestBody.finish() }
        isGRPC = RequestFacts.isGRPC(request)
        isHead = RequestFacts.isHead(request)
        startedAt = now
        isOnReadyList = true
    }

    /// Request bytes came; the session's data is theirs.
    func receiveRequestData(_ count: Int, from session: Session) {
        guard state != .over, outcome == nil, !requestIsDiscarded else {
            // Nobody wants them: the caller gets the credit back and may go on to its end.
            caller?.stream.with { session.creditStream($0, count) }
            return
        }
        session.takeData(into: requestBody)
        noteBuffered(count)
        withTask { $0.resumeBody($1) }
    }

    private var requestIsDiscarded: Bool {
        state == .responding && task == nil
    }

    func receiveRequestEnd(trailers: HeaderBlock?) {
        trailers?.remove(.hopByHop)
        if let trailers, requestIsDiscarded || requestBody.isFinished {
            worker.blocks.give(trailers)
        } else if let trailers, trailers.isTruncated {
            worker.blocks.give(trailers)
            fail(Failure(.requestHeadersTooLarge, "request trailers exceed the limit"))
        } else {
            requestBody.finish(trailers: trailers)
        }
        withTask { $0.resumeBody($1) }
    }

    /// The caller's stream is gone: it was answered, it reset the stream, or its connection was lost.
    func downstreamClosed() {
        dropBuffered()
        caller = nil
        if outcome == nil { finish(.cancelled) }
        cancelAttempt(.cancel)
        retireIfOver()
    }

    /// The caller reset its stream; the task hears of it in the same turn.
    func downstreamReset() {
        if outcome == nil { finish(.cancelled) }
        cancelAttempt(.cancel)
    }

    /// Response bytes were written to the caller: the task may send as many again.
    func downstreamSent(_ count: Int) {
        responseBytesSent += count
        noteBuffered(-count)
        withTask { $0.credit($1, count) }
    }

    /// Whether the caller has taken no byte in the last `max` calls although there are some for it.
    func stallRounds(max: Int) -> Bool {
        let isStuck = responseBody.pending > 0 && stallMark == responseBytesSent
        stallMark = responseBytesSent
        stallCount = isStuck ? stallCount + 1 : 0
        return stallCount >= max
    }

    /// Nanoseconds of the caller's `grpc-timeout`.
    var requestedTimeout: Int64? {
        request?.value(.grpcTimeout).flatMap { GRPCTimeout.nanoseconds($0.span) }
    }

    // MARK: Attempts

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
            guard caller.connection.with({ admit($0) }) else { return }
        }
        guard task == nil, state == .attempting, let pool else { return }
        if pool.cluster.endpoints.isEmpty {
            pool.waitForEndpoint(self)
            return
        }
        guard let pick = Balancer.pick(in: pool.cluster, tried: tried, now: now, random: &worker.random) else {
            fail(lastFailure ?? Failure(.noEndpoint, "no endpoint of cluster \(pool.cluster.name) is left to try"))
            return
        }
        if let probe = pick.probe { pool.probe(probe) }
        pool.submit(self, to: pick.index)
    }

    /// Checks, routes and prepares a new request.
    /// - Returns: whether an attempt should follow; otherwise it was answered.
    private func admit(_ connection: DownstreamConnection) -> Bool {
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
        if requestHasBody { requestBody.holdForReplay(limit: pool.cluster.settings.replayBufferBytes) }
        armDeadline(request, pool.cluster.settings)
        RequestRewrite.apply(to: request, isGRPC: isGRPC, connection: connection)
        return true
    }

    private func armDeadline(_ request: HeaderBlock, _ settings: ClusterSettings) {
        var timeout: Int64?
        if isGRPC, let text = request.value(.grpcTimeout) { timeout = GRPCTimeout.nanoseconds(text.span) }
        if timeout == nil, let configured = settings.timeout { timeout = min(configured.nanoseconds, 1 << 58) }
        guard let timeout else { return }
        self.timeout = timeout
        let timer = deadlineTimer ?? WheelTimer { [unowned self] in deadlinePassed() }
        deadlineTimer = timer
        worker.timers.arm(timer, at: startedAt + timeout)
    }

    private func deadlinePassed() {
        guard outcome == nil, caller != nil else { return }
        let place =
            switch state {
            case .responding: "reading the response of \(endpoint?.name ?? "the endpoint")"
            default: endpoint.map { "waiting for the response of \($0.name)" } ?? "waiting for an endpoint"
            }
        fail(
            Failure(
                .deadlineExceeded,
                "deadline of \(Double(timeout / 1_000_000) / 1_000) s passed while \(place) "
                    + "(cluster \(pool?.cluster.name ?? "-"))"))
    }

    /// A connection took the request. Runs inside ``EndpointPool``.
    func attemptBegan(on stream: Stream, of connection: UpstreamConnection, endpoint: Endpoint) {
        ticket = nil
        task = (Borrowed(connection), Borrowed(stream))
        self.endpoint = endpoint
    }

    /// What an attempt needs: the request, and its body if it has one.
    var requestBodyToSend: BodyQueue? {
        requestHasBody ? requestBody : nil
    }

    /// The attempt found no connection: nothing of it was written.
    func attemptUnsent(_ failure: Failure, endpoint: Endpoint?) {
        ticket = nil
        guard outcome == nil, caller != nil else { return }
        lastFailure = failure
        unsentAttempts += 1
        if let endpoint {
            tried.insert(endpoint)
            // A limit of ours says nothing about the endpoint.
            if failure.kind != .circuitOpen { endpoint.failuresTotal.add(1, ordering: .relaxed) }
        }
        guard let pool, mayConnectAgain(pool.cluster, failure), tryElsewhere(pool) else {
            fail(failure)
            return
        }
        pool.count(.replaysUnsent)
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
        return cluster.endpoints.contains { !$0.isUnreachable && !tried.contains($0) }
    }

    /// The exchange was taken off an endpoint that left the set before anything was written; it counts as no attempt.
    func attemptWithdrawn() {
        ticket = nil
        guard outcome == nil, caller != nil else { return }
        enqueueOnce()
    }

    private func tryElsewhere(_ pool: ClusterPool) -> Bool {
        let isLeft = pool.cluster.endpoints.contains { !tried.contains($0) }
        guard isLeft, !requestHasBody || requestBody.canStartOver else { return false }
        if requestHasBody { rewindRequest() }
        enqueueOnce()
        return true
    }

    private func rewindRequest() {
        let before = requestBody.pending
        requestBody.rewind()
        noteBuffered(requestBody.pending - before)
        sentInAttempt = 0
    }

    private func enqueueOnce() {
        if isOnReadyList { return }
        isOnReadyList = true
        worker.enqueue(self)
    }

    // MARK: From the task

    /// Request bytes were written to the task: the caller may send as many again.
    func upstreamSent(_ count: Int) {
        noteBuffered(-count)
        // What a replay sends again was credited when it was sent first.
        sentInAttempt += count
        let new = sentInAttempt - credited
        guard new > 0 else { return }
        credited += new
        withCaller { $0.credit($1, new) }
    }

    func receiveInformational(_ headers: HeaderBlock) {
        guard let caller, outcome == nil, state == .attempting else {
            worker.blocks.give(headers)
            return
        }
        let interimMax = caller.connection.with { $0.settings.limits.maxInformationalResponses }
        guard interim.count < interimMax, !headers.isTruncated else {
            worker.blocks.give(headers)
            let name = endpoint?.name ?? "the endpoint"
            fail(Failure(.upstreamProtocolError, "\(name) sent too many or too large interim responses"))
            return
        }
        headers.remove(.hopByHop)
        interim.append(headers)
        withCaller { $0.submitInformational(headers, on: $1) }
    }

    /// The final response head; `endStream` for trailers-only and bodiless responses.
    func receiveHead(_ headers: HeaderBlock, endStream: Bool) {
        guard let caller, outcome == nil, state == .attempting else {
            worker.blocks.give(headers)
            return
        }
        if let failure = flaw(of: headers) {
            worker.blocks.give(headers)
            fail(failure)
            return
        }
        state = .responding
        response = headers
        // From here on nothing is tried again.
        requestBody.commit()
        headers.remove(.hopByHop)
        if endStream { finishWithResponse(headers: headers, trailers: headers) }
        let body = endStream ? nil : responseBody
        caller.connection.with { connection in
            if connection.settings.via { headers.append("via", literal: "2 ekiden") }
            caller.stream.with { connection.submitResponse(headers, body: body, on: $0) }
        }
    }

    /// What is wrong with a response head, if anything.
    private func flaw(of headers: HeaderBlock) -> Failure? {
        if headers.isTruncated {
            let name = endpoint?.name ?? "the endpoint"
            return Failure(
                .responseHeadersTooLarge, "response headers of \(name) exceed the limit (\(headers.listSize) bytes)")
        }
        if let status = headers.status, status >= 200, status <= 599 { return nil }
        let name = endpoint?.name ?? "the endpoint"
        return Failure(.upstreamProtocolError, "malformed response of \(name): no valid :status")
    }

    func receiveResponseData(_ count: Int, from session: Session) {
        guard caller != nil, state == .responding, outcome == nil else {
            task?.stream.with { session.creditStream($0, count) }
            return
        }
        session.takeData(into: responseBody)
        noteBuffered(count)
        withCaller { $0.resumeBody($1) }
    }

    func receiveResponseEnd(trailers: HeaderBlock?) {
        guard caller != nil, state == .responding, outcome == nil, let response else {
            if let trailers { worker.blocks.give(trailers) }
            return
        }
        if let trailers, trailers.isTruncated {
            let size = trailers.listSize
            worker.blocks.give(trailers)
            let name = endpoint?.name ?? "the endpoint"
            fail(Failure(.responseHeadersTooLarge, "response trailers of \(name) exceed the limit (\(size) bytes)"))
            return
        }
        trailers?.remove(.hopByHop)
        finishWithResponse(headers: response, trailers: trailers)
        responseBody.finish(trailers: trailers)
        withCaller { $0.resumeBody($1) }
    }

    /// The task's stream is gone.
    /// - Parameter closing: how.
    func upstreamClosed(_ closing: UpstreamClosing) {
        task = nil
        if outcome == nil, caller != nil { afterLoss(closing, endpoint) }
        retireIfOver()
    }

    private func afterLoss(_ closing: UpstreamClosing, _ endpoint: Endpoint?) {
        let name = endpoint?.name ?? "the endpoint"
        switch closing {
        case .completed:
            // The response was complete before: finish() was called with it. Without a response this is a reset that
            // says nothing is wrong, which is passed on like any other.
            passOnReset(.noError)
        case .unsent(let failure):
            attemptUnsent(failure, endpoint: endpoint)
        case .refused where state == .responding:
            endpoint?.failuresTotal.add(1, ordering: .relaxed)
            fail(Failure(.connectionLost, "\(name) refused the stream after it had answered"))
        case .refused(let failure):
            endpoint?.failuresTotal.add(1, ordering: .relaxed)
            lastFailure = failure
            if let endpoint { tried.insert(endpoint) }
            refusedAttempts += 1
            if state == .attempting, let pool, refusedAttempts < pool.cluster.settings.maxRefusedAttempts,
                tryElsewhere(pool)
            {
                pool.count(.replaysRefused)
            } else {
                // Certainly not processed, so the caller's library may try again.
                passOnReset(.refusedStream)
            }
        case .reset(let code):
            endpoint?.failuresTotal.add(1, ordering: .relaxed)
            passOnReset(code)
        case .failed(let failure):
            endpoint?.failuresTotal.add(1, ordering: .relaxed)
            fail(Failure(failure.kind, "\(name) \(failure.message) (cluster \(pool?.cluster.name ?? "-"))"))
        }
    }

    private func passOnReset(_ code: ErrorCode) {
        finish(.reset)
        resetDownstream(code)
    }

    // MARK: Answers

    /// Answers the caller in place of the task, in the form that fits how far the response has come.
    func fail(_ failure: Failure) {
        guard outcome == nil else { return }
        if failure.kind == .circuitOpen { pool?.count(.pendingOverflow) }
        switch state {
        case .fresh, .attempting:
            reply(failure)
        case .responding:
            failMidResponse(failure)
        case .over:
            break
        }
        cancelAttempt(.cancel)
    }

    private func reply(_ failure: Failure) {
        guard caller != nil else { return }
        state = .responding
        finish(.local(failure))
        let headers = worker.blocks.take()
        response = headers
        if let body = LocalReply.write(failure, to: headers, isGRPC: isGRPC, isHead: isHead) {
            responseBody.append(body)
            noteBuffered(body.readableBytes)
            responseBody.finish()
            withCaller { $0.submitResponse(headers, body: responseBody, on: $1) }
        } else {
            withCaller { $0.submitResponse(headers, body: nil, on: $1) }
        }
    }

    /// A gRPC caller gets trailers that say what happened behind the bytes it already has; others a reset, since a
    /// clean end would be a lie.
    private func failMidResponse(_ failure: Failure) {
        guard caller != nil else { return }
        finish(.local(failure))
        guard isGRPC else {
            resetDownstream(failure.kind == .deadlineExceeded ? .cancel : .internalError)
            return
        }
        let trailers = worker.blocks.take()
        LocalReply.writeTrailers(failure, to: trailers)
        responseBody.finish(trailers: trailers)
        withCaller { $0.resumeBody($1) }
    }

    private func resetDownstream(_ code: ErrorCode) {
        withCaller { $0.reset($1, code) }
    }

    private func cancelAttempt(_ code: ErrorCode) {
        withTask { $0.reset($1, code) }
        ticket?.cancel()
        ticket = nil
    }

    // MARK: Accounts

    private func finishWithResponse(headers: HeaderBlock, trailers: HeaderBlock?) {
        if isGRPC {
            let code = (trailers ?? headers).value(.grpcStatus) ?? headers.value(.grpcStatus)
            if let code, let number = RequestFacts.number(code) {
                finish(.grpc(number))
            } else {
                pool?.count(.missingGRPCStatus)
                finish(.grpc(GRPCStatus.unknown.rawValue))
            }
        } else {
            finish(.http(headers.status ?? 200))
        }
        // A request that is still being sent has its answer: the task need not hear the rest.
        withTask { connection, stream in
            if !stream.localEnded { connection.reset(stream, .noError) }
        }
    }

    private func finish(_ outcome: Outcome) {
        if self.outcome != nil {
            worker.count(.invariantViolations)
            return
        }
        self.outcome = outcome
        if let deadlineTimer { worker.timers.cancel(deadlineTimer) }
        guard let pool else { return }
        switch outcome {
        case .grpc(let code):
            pool.counters.add(ClusterMetric.cell(grpcStatus: code))
        case .http(let status):
            pool.counters.add(ClusterMetric.cell(httpStatus: status))
        case .local(let failure):
            pool.counters.add(ClusterMetric.cell(localReply: failure.kind))
            pool.counters.add(
                isGRPC
                    ? ClusterMetric.cell(grpcStatus: failure.kind.grpcStatus.rawValue)
                    : ClusterMetric.cell(httpStatus: failure.kind.httpStatus))
        case .cancelled:
            pool.count(.cancelledByCaller)
            if isGRPC { pool.counters.add(ClusterMetric.cell(grpcStatus: GRPCStatus.cancelled.rawValue)) }
        case .reset:
            if isGRPC { pool.counters.add(ClusterMetric.cell(grpcStatus: GRPCStatus.unavailable.rawValue)) }
        }
    }

    private var buffered = 0
    /// Request bytes written in this attempt, and those that the caller got credit for.
    private var sentInAttempt = 0
    private var credited = 0

    private func noteBuffered(_ count: Int) {
        // Without a caller nothing is on the account any more.
        guard let caller else { return }
        buffered += count
        worker.noteBuffered(count)
        caller.connection.with { $0.noteBuffered(count) }
    }

    /// What is still held has no reader any more.
    private func dropBuffered() {
        if buffered == 0 { return }
        worker.noteBuffered(-buffered)
        caller?.connection.with { $0.noteBuffered(-buffered) }
        buffered = 0
    }

    private func retireIfOver() {
        guard state != .over, caller == nil, task == nil, !isOnReadyList else { return }
        state = .over
        ticket?.cancel()
        ticket = nil
        if let deadlineTimer { worker.timers.cancel(deadlineTimer) }
        worker.retire(self)
    }

    /// Makes the exchange as new. Its header blocks go back to the pool: no session reads them any more.
    func clear() {
        if let trailers = requestBody.reset() { worker.blocks.give(trailers) }
        if let trailers = responseBody.reset() { worker.blocks.give(trailers) }
        if let request { worker.blocks.give(request) }
        if let response { worker.blocks.give(response) }
        if !interim.isEmpty {
            for block in interim { worker.blocks.give(block) }
            interim.removeAll()
        }
        request = nil
        response = nil
        pool = nil
        endpoint = nil
        tried.removeAll()
        unsentAttempts = 0
        refusedAttempts = 0
        lastFailure = nil
        outcome = nil
        requestHasBody = false
        isGRPC = false
        isHead = false
        sentInAttempt = 0
        credited = 0
        stallMark = 0
        stallCount = 0
        responseBytesSent = 0
        state = .fresh
    }
}

/// How a task's stream ended, as far as its exchange is concerned.
enum UpstreamClosing {
    /// In order, or with NO_ERROR.
    case completed
    /// Nothing of the request was written.
    case unsent(Failure)
    /// Written, and by the peer's own word not processed (REFUSED_STREAM, above GOAWAY's last id, never spoke HTTP/2).
    case refused(Failure)
    /// The task reset the stream.
    case reset(ErrorCode)
    /// Anything else: the connection was lost, the response was malformed. The message goes on after the endpoint's
    /// name.
    case failed(Failure)
}
