import HTTP2
import NIOCore
import Policy
import Telemetry

/// One request and its response, on their way between a caller's stream and the tasks'.
///
/// An exchange ends exactly once with exactly one outcome, which is counted when its caller's stream is gone: until
/// then the time may be over for a response that is complete here and not taken. It is made when a request's headers
/// are complete, and admitted at the end of that turn (a request that is reset in the same batch of reads never
/// reaches a task). From then on it makes ``Attempt``s, one at a time or, where the route hedges, side by side, until
/// one of them is *committed*: its response is passed on, and nothing is tried again. It is over when the streams of
/// both sides are gone.
///
/// ```
///   fresh ──admitted──▶ attempting ──committed──▶ responding ──all streams closed──▶ over
///     │                  │  ▲ └─replay, retry┘          ▲
///     └──── refused ─────┴──────── local reply ─────────┘
/// ```
///
/// The caller's side is in this file; what an exchange does is in extensions by concern: admission, attempts, response,
/// answers. Reused: ``clear()`` makes it as new. Confined to its worker's loop.
final class Exchange {
    enum State {
        /// The request's headers are here; nothing was done yet.
        case fresh
        /// No response was committed yet: attempts run, wait, or are about to be made.
        case attempting
        /// The response head (a task's or ours) was handed to the caller's stream.
        case responding
        /// All streams are gone.
        case over
    }

    unowned(unsafe) let worker: Worker
    var state = State.fresh

    // The caller's side.
    /// The worker holds the connection, and the connection's session the stream, until ``downstreamClosed()``.
    private(set) var caller: (connection: Borrowed<DownstreamConnection>, stream: Borrowed<Stream>)?
    private(set) var request: HeaderBlock?
    let requestBody = BodyQueue()
    private(set) var requestHasBody = false
    private(set) var isGRPC = false
    private(set) var isHead = false
    private(set) var startedAt: Int64 = 0

    // The route's side.
    /// Held by ``ownPlan``, or the plain one, which lives as long as the process: a reference to it would be counted by
    /// all workers in one place.
    unowned(unsafe) private(set) var plan = RoutePlan.plain
    private(set) var ownPlan: RoutePlan?
    /// Whether the route does nothing but choose a cluster: then the plan, which all workers share, need not be read.
    var isPlain: Bool { ownPlan == nil }
    var pool: ClusterPool?
    /// What the balancer goes by, where it asks for it.
    var hashKey: UInt64?
    /// Whether the call may run twice.
    var isIdempotent = false
    /// What was taken of the cluster's limits: for the exchange, and for its next retry or hedge.
    var place: CircuitPlace?
    var queuePlace: QueuedExchanges.Place?
    var retryPlace: CircuitPlace?
    /// What a fault on purpose answers when its delay is over.
    var pendingAbort: FaultPolicy.Abort?

    // Attempts.
    /// The only attempt of nearly every exchange.
    let primary: Attempt
    /// Those that follow the first, or run beside it.
    var others: ContiguousArray<Attempt> = []
    /// Whose response is passed on; live as long as this is set.
    unowned(unsafe) var winner: Attempt?
    var tried = TriedEndpoints()
    var unsentAttempts = 0
    var refusedAttempts = 0
    /// Retries and hedges so far.
    var extraAttempts = 0
    /// Whether a task may have processed one of them.
    var mayHaveRun = false
    /// What the caller said about its own retries.
    var callersAttempts: Int?
    /// Whether the next attempt is a retry or a hedge, and no replay.
    var nextIsExtra = false
    /// Whether it was just taken out of the budget, and is no replay of one that was.
    var nextIsPaid = false
    /// Whether it replays one of which nothing was written.
    var nextFollowsUnsent = false
    /// Whether its route hedges it.
    var isHedged = false
    /// Whether a task asked that no further hedge is made.
    var hedgingStopped = false
    /// Whether a hedge waits for the end of the request.
    var hedgeIsDue = false
    /// When a task asked to be left alone until. Nanoseconds of the monotonic clock.
    var hedgeNotBefore: Int64 = 0
    var lastFailure: Failure?

    // Time. Nanoseconds of the monotonic clock.
    var deadline: Int64?
    var deadlineTimer: WheelTimer?
    /// From the request to the deadline.
    var timeout: Int64 = 0
    /// What the caller asked for.
    var callerTimeout: Int64?
    /// Whether the time limit is the route's, and not what the caller asked for.
    var deadlineIsOurs = false
    /// Whether what is left of the time goes to the task.
    var tellsDeadline = false
    /// Has the next attempt made: after a fault's delay, a pause, the hedging delay.
    var paceTimer: WheelTimer?
    var idleTimer: WheelTimer?
    private var movedAt: Int64 = 0
    private var hasIdleTime = false

    // The response.
    var response: HeaderBlock?
    var interim: [HeaderBlock] = []
    let responseBody = BodyQueue()
    /// Trailers in place of what the response still held.
    var lastWord: HeaderBlock?
    var outcome: Outcome?
    /// Response bytes passed on as of the last look of ``stallRounds(max:)``, and looks without progress in a row.
    private var stallMark = 0
    private var stallCount = 0
    private var responseBytesSent = 0
    var isOnReadyList = false

    // Accounts.
    private var buffered = 0
    /// Request bytes that the caller got credit for.
    private var credited = 0
    /// Request bytes on the worker's account that are held only for another attempt.
    private var retained = 0

    /// How the exchange ended, as it is counted.
    enum Outcome {
        case grpc(Int)
        case http(Int)
        /// Apart, since the others are copied for every request.
        indirect case local(Failure)
        case cancelled
        case reset(ErrorCode)
    }

    /// The worker and the request's body again, for what is done with every piece of a body: one lives as long as the
    /// process, the other as long as the exchange.
    private let account: Borrowed<Worker>
    private let uncountedBody: Borrowed<BodyQueue>

    init(worker: Worker) {
        self.worker = worker
        account = Borrowed(worker)
        uncountedBody = Borrowed(requestBody)
        primary = Attempt(worker: worker)
        primary.belong(to: self)
    }

    /// Whether the caller is there and was not told how it ends.
    var isUnanswered: Bool { outcome == nil && caller != nil }

    @inline(__always)
    func withCaller(_ body: (DownstreamConnection, Stream) -> Void) {
        guard let caller else { return }
        caller.connection.with { connection in caller.stream.with { body(connection, $0) } }
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
        noteMovement(now: session.inputNow)
        session.takeData(into: requestBody)
        noteBuffered(count)
        noteRetained()
        resumeRequest()
    }

    private var requestIsDiscarded: Bool {
        state == .responding && winner == nil
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
        if hedgeIsDue {
            hedgeIsDue = false
            enqueueOnce()
        }
        resumeRequest()
    }

    private func resumeRequest() {
        if primary.isHopeful { primary.withTask { $0.resumeBody($1) } }
        for attempt in others where attempt.isHopeful { attempt.withTask { $0.resumeBody($1) } }
    }

    /// The caller's stream is gone: it was answered, it reset the stream, or its connection was lost.
    func downstreamClosed() {
        switch outcome {
        // What the task had answered the caller has not taken.
        case .grpc where responseBody.pending > 0, .http where responseBody.pending > 0: outcome = .cancelled
        default: break
        }
        dropBuffered()
        caller = nil
        if outcome == nil { finish(.cancelled) } else { countOutcome() }
        abandonAttempts()
        retireIfOver()
    }

    /// The caller reset its stream; the tasks hear of it in the same turn.
    func downstreamReset() {
        if outcome == nil { finish(.cancelled) }
        abandonAttempts()
    }

    /// Response bytes were written to the caller: the task may send as many again.
    func downstreamSent(_ count: Int) {
        responseBytesSent += count
        noteSent()
        noteBuffered(-count)
        winner?.withTask { $0.credit($1, count) }
    }

    /// Whether the caller has taken nothing in the last `max` calls although there are bytes, or an end, for it.
    func stallRounds(max: Int) -> Bool {
        let isStuck = (responseBody.pending > 0 || outcome != nil) && stallMark == responseBytesSent
        stallMark = responseBytesSent
        stallCount = isStuck ? stallCount + 1 : 0
        return stallCount >= max
    }

    /// Nanoseconds of the caller's `grpc-timeout`.
    var requestedTimeout: Int64? {
        // Once admitted the header says what is left.
        if state != .fresh { return callerTimeout }
        return request?.value(.grpcTimeout).flatMap { GRPCTimeout.nanoseconds($0.span) }
    }

    /// Takes the route's plan.
    func follow(_ plan: RoutePlan) {
        if plan === RoutePlan.plain { return }
        ownPlan = plan
        self.plan = plan
    }

    /// What an attempt sends of the request's body, if it has one.
    var requestBodyToSend: BodyQueue? {
        requestHasBody ? requestBody : nil
    }

    /// An attempt wrote request bytes: the caller may send as many again.
    /// - Parameter total: what this attempt has written so far.
    func requestSent(_ count: Int, total: Int) {
        noteBuffered(-count)
        if account.with({ $0.isOverRetainBudget }) { uncountedBody.with { $0.commit() } }
        noteRetained()
        // What a replay sends again was credited when it was sent first.
        let new = total - credited
        guard new > 0 else { return }
        credited += new
        noteSent()
        withCaller { $0.credit($1, new) }
    }

    func rewindRequest() {
        guard requestHasBody else { return }
        let before = requestBody.pending
        requestBody.rewind()
        noteBuffered(requestBody.pending - before)
        noteRetained()
    }

    /// Lets go of what is held of the request for another attempt: there will be none.
    func commitRequest() {
        uncountedBody.with { $0.commit() }
        noteRetained()
    }

    // MARK: Idleness

    /// Notes that something moved on the exchange, in either direction.
    @inline(__always)
    func noteMovement(now: Int64) {
        movedAt = now
    }

    /// Notes that bytes were passed on.
    @inline(__always)
    private func noteSent() {
        if hasIdleTime { noteMovement(now: worker.turn.now) }
    }

    func armIdleTimer(_ patience: Duration, now: Int64) {
        movedAt = now
        hasIdleTime = true
        let timer = idleTimer ?? WheelTimer { [unowned self] in idleTimerFired() }
        idleTimer = timer
        worker.timers.arm(timer, at: now + patience.nanoseconds)
    }

    private func idleTimerFired() {
        guard let patience = plan.settings.idleTimeout, let idleTimer else { return }
        let now = worker.turn.now
        let due = movedAt + patience.nanoseconds
        if due > now { return worker.timers.arm(idleTimer, at: due) }
        let failure = Failure(
            .deadlineExceeded,
            "nothing moved on the stream for \(patience.configurationText) (cluster \(pool?.cluster.name ?? "-"))")
        if failNow(failure) { pool?.count(.idleTimeouts) }
    }

    // MARK: Accounts

    func noteBuffered(_ count: Int) {
        // Without a caller nothing is on the account any more.
        guard let caller else { return }
        buffered += count
        account.with { $0.noteBuffered(count) }
        caller.connection.with { $0.noteBuffered(count) }
    }

    /// Takes what is held for a replay on the worker's account.
    private func noteRetained() {
        let change = uncountedBody.with { $0.retained } - retained
        if change == 0 { return }
        retained += change
        account.with { $0.noteRetained(change) }
    }

    /// What is still held has no reader any more.
    private func dropBuffered() {
        if buffered == 0 { return }
        worker.noteBuffered(-buffered)
        caller?.connection.with { $0.noteBuffered(-buffered) }
        buffered = 0
    }

    // MARK: Life

    func enqueueOnce() {
        if isOnReadyList { return }
        isOnReadyList = true
        worker.enqueue(self)
    }

    func cancelTimers() {
        if let deadlineTimer { worker.timers.cancel(deadlineTimer) }
        if let paceTimer { worker.timers.cancel(paceTimer) }
        if let idleTimer { worker.timers.cancel(idleTimer) }
    }

    func retireIfOver() {
        guard state != .over, caller == nil, !primary.isLive, others.isEmpty, !isOnReadyList else { return }
        state = .over
        cancelTimers()
        if retained != 0 { commitRequest() }
        worker.retire(self)
    }

    /// Makes the exchange as new. Its header blocks go back to the pool: no session reads them any more.
    func clear() {
        if let trailers = requestBody.reset() { worker.blocks.give(trailers) }
        if let trailers = responseBody.reset() { worker.blocks.give(trailers) }
        if let request { worker.blocks.give(request) }
        if let response { worker.blocks.give(response) }
        if let lastWord { worker.blocks.give(lastWord) }
        if !interim.isEmpty {
            for block in interim { worker.blocks.give(block) }
            interim.removeAll()
        }
        request = nil
        response = nil
        lastWord = nil
        if ownPlan != nil {
            plan = .plain
            ownPlan = nil
        }
        hasIdleTime = false
        pool = nil
        hashKey = nil
        isIdempotent = false
        pendingAbort = nil
        winner = nil
        tried.removeAll()
        unsentAttempts = 0
        refusedAttempts = 0
        mayHaveRun = false
        callersAttempts = nil
        callerTimeout = nil
        extraAttempts = 0
        nextIsExtra = false
        nextIsPaid = false
        nextFollowsUnsent = false
        isHedged = false
        hedgingStopped = false
        hedgeNotBefore = 0
        hedgeIsDue = false
        lastFailure = nil
        deadline = nil
        deadlineIsOurs = false
        tellsDeadline = false
        outcome = nil
        requestHasBody = false
        isGRPC = false
        isHead = false
        credited = 0
        stallMark = 0
        stallCount = 0
        responseBytesSent = 0
        state = .fresh
    }
}
