import HTTP2
import NIOCore
import Policy
import Synchronization
import Telemetry

/// One try of an exchange on one task: the task's side of it.
///
/// ```
///   idle ──▶ waiting (for a slot, or an endpoint) ──▶ running (on a stream) ──▶ idle
///                                                        └──▶ abandoned ──────────┘
/// ```
/// What the task says goes to the exchange, which decides; from an abandoned attempt nothing is passed on any more.
///
/// Confined to its worker's loop.
final class Attempt {
    enum State {
        case idle
        case waiting
        case running
        /// Reset, or passed by another attempt: its stream is not closed yet.
        case abandoned
    }

    /// Holds its attempts, and is held by those that are live.
    var exchange: Exchange { withExchange { $0 } }
    private var owner: Borrowed<Exchange>?
    unowned(unsafe) private let worker: Worker
    private var held: Exchange?
    private(set) var state = State.idle
    private(set) var endpoint: Endpoint?
    /// The pool holds the connection, and the connection's session the stream, until ``closed(_:)``.
    private var task: (connection: Borrowed<UpstreamConnection>, stream: Borrowed<Stream>)?
    /// The place in a queue.
    private var ticket: PendingTicket?
    /// What is sent: the exchange's own, or copies for an attempt that runs beside another one.
    private var copies: (request: HeaderBlock, body: BodyQueue?)?

    /// A response head that waits for what follows it.
    var heldHead: HeaderBlock?
    /// Interim responses so far.
    var interimCount = 0
    /// Bytes of the request's body that were written.
    private(set) var sentBytes = 0
    /// Whether the stream tells if an ejected endpoint has recovered.
    private var isTrial = false
    /// Of a retry or a hedge: its place among those that run on the cluster.
    var place: CircuitPlace?
    /// Whether it is among the endpoint's awaited streams.
    private var isAwaited = false
    private var isConcluded = false
    /// Nanoseconds of the monotonic clock.
    private var startedAt: Int64 = 0
    private var latency: Int64?
    private var timer: WheelTimer?

    init(worker: Worker) {
        self.worker = worker
    }

    convenience init(exchange: Exchange) {
        self.init(worker: exchange.worker)
        belong(to: exchange)
    }

    /// Says whose attempt it is; once, before anything else.
    func belong(to exchange: Exchange) {
        owner = Borrowed(exchange)
    }

    /// The exchange, for calls that need no reference of their own.
    @inline(__always)
    func withExchange<Result>(_ body: (Exchange) -> Result) -> Result {
        guard let owner else { preconditionFailure("an attempt that belongs to no exchange") }
        return owner.with(body)
    }

    var isLive: Bool { state != .idle }

    /// Whether a response may still come of it.
    var isHopeful: Bool { state == .waiting || state == .running }

    /// Whether the exchange still goes by how it ends.
    var isWanted: Bool { isHopeful && withExchange { $0.isUnanswered } }

    /// Whether the task has said something of its response.
    var hasAnswered: Bool { latency != nil }

    /// Of the endpoint, for messages.
    var endpointName: String { endpoint?.name ?? "the endpoint" }

    @inline(__always)
    func withTask(_ body: (UpstreamConnection, Stream) -> Void) {
        guard let task else { return }
        task.connection.with { connection in task.stream.with { body(connection, $0) } }
    }

    // MARK: Beginning

    /// Looks for a stream.
    /// - Parameter now: nanoseconds of the monotonic clock.
    func begin(now: Int64, copies: (request: HeaderBlock, body: BodyQueue?)? = nil) {
        state = .waiting
        held = exchange
        startedAt = now
        self.copies = copies
    }

    /// Says which endpoint it is for.
    /// - Parameter isCounted: whether the cluster limits the streams of an endpoint.
    func aim(at endpoint: Endpoint, isTrial: Bool, isCounted: Bool) {
        self.endpoint = endpoint
        self.isTrial = isTrial
        guard isCounted else { return }
        isAwaited = true
        endpoint.awaitedStreams.add(1, ordering: .relaxed)
    }

    private func noteArrival() {
        guard isAwaited else { return }
        isAwaited = false
        endpoint?.awaitedStreams.subtract(1, ordering: .relaxed)
    }

    /// Whether it waited in a queue.
    var hasWaited: Bool { ticket != nil }

    /// Waits in a queue from now on.
    func wait(with ticket: PendingTicket) {
        self.ticket = ticket
    }

    var request: HeaderBlock? { copies?.request ?? withExchange { $0.request } }

    /// The request's body, if it has one.
    var body: BodyQueue? {
        if let copies { return copies.body }
        return withExchange { $0.requestBodyToSend }
    }

    /// A connection took the request.
    func began(on stream: Stream, of connection: UpstreamConnection, endpoint: Endpoint) {
        if ticket != nil {
            // How long it waited for a place says nothing about the task.
            startedAt = worker.turn.now
            ticket = nil
        }
        noteArrival()
        task = (Borrowed(connection), Borrowed(stream))
        state = .running
    }

    /// Has ``Exchange/attemptTimerFired(_:)`` called.
    func armTimer(at deadline: Int64) {
        let timer = timer ?? WheelTimer { [unowned self] in exchange.attemptTimerFired(self) }
        self.timer = timer
        worker.timers.arm(timer, at: deadline)
    }

    func cancelTimer() {
        if let timer { worker.timers.cancel(timer) }
    }

    // MARK: From the pool

    /// It found no connection: nothing of it was written.
    /// - Parameter isOutOfConnections: whether the cluster has as many as it may, and this endpoint none of them.
    func unsent(_ failure: Failure, endpoint: Endpoint?, isOutOfConnections: Bool = false) {
        ticket = nil
        guard state == .waiting else { return }
        exchange.attemptUnsent(self, failure, endpoint: endpoint, isOutOfConnections: isOutOfConnections)
    }

    /// It was taken off an endpoint that left the set before anything was written; it counts as no attempt.
    func withdrawn() {
        ticket = nil
        guard state == .waiting else { return }
        exchange.attemptWithdrawn(self)
    }

    // MARK: From the task

    /// Request bytes were written to the task: the caller may send as many again.
    func sent(_ count: Int) {
        sentBytes += count
        if copies == nil { withExchange { $0.requestSent(count, total: sentBytes) } }
    }

    func receiveInformational(_ headers: HeaderBlock) {
        guard state == .running else { return worker.blocks.give(headers) }
        withExchange { $0.receiveInformational(headers, from: self) }
    }

    /// The final response head; `endStream` for trailers-only and bodiless responses.
    /// - Parameter now: nanoseconds of the monotonic clock when its bytes were read.
    func receiveHead(_ headers: HeaderBlock, endStream: Bool, now: Int64) {
        guard state == .running else { return worker.blocks.give(headers) }
        latency = now - startedAt
        endpoint?.outlier.noteAnswer()
        withExchange { exchange in
            exchange.noteMovement(now: now)
            exchange.receiveHead(headers, endStream: endStream, from: self)
        }
    }

    func receiveData(_ count: Int, from session: Session) {
        guard state == .running, withExchange({ $0.receiveResponseData(count, of: session, from: self) }) else {
            task?.stream.with { session.creditStream($0, count) }
            return
        }
        if isTrial, withExchange({ $0.answersWell }) { passTrial() }
    }

    func receiveEnd(trailers: HeaderBlock?) {
        guard state == .running else {
            if let trailers { worker.blocks.give(trailers) }
            return
        }
        withExchange { $0.receiveResponseEnd(trailers: trailers, from: self) }
    }

    /// The task's stream is gone.
    /// - Parameter closing: how.
    func closed(_ closing: UpstreamClosing) {
        task = nil
        // The exchange may let go of this attempt, and the attempt of the exchange.
        guard let exchange = held else { return }
        exchange.attemptClosed(self, state == .abandoned ? nil : closing)
    }

    // MARK: Ending

    /// Nothing of it is wanted any more.
    /// - Returns: whether it is over already; otherwise its stream is reset, and ``closed(_:)`` follows.
    @discardableResult
    func abandon(_ code: ErrorCode = .cancel) -> Bool {
        switch state {
        case .idle:
            return true
        case .waiting:
            ticket?.cancel()
            ticket = nil
            return true
        case .running, .abandoned:
            state = .abandoned
            dropHeldHead()
            cancelTimer()
            withTask { connection, stream in
                // What has ended on both sides is about to close by itself.
                if !(stream.remoteEnded && stream.localEnded) { connection.reset(stream, code) }
                // On a session that has broken down the reset does nothing; another attempt reads the body now.
                stream.dropBody()
            }
            return false
        }
    }

    private func dropHeldHead() {
        if let heldHead { worker.blocks.give(heldHead) }
        heldHead = nil
    }

    /// Tells whoever judges the endpoint how it went. The first word counts.
    func conclude(_ result: AttemptResult, in pool: ClusterPool?) {
        guard !isConcluded, let endpoint, let pool else { return }
        isConcluded = true
        // One that was not answered took as long as it was waited for.
        let waited = result == .timedOut ? age(now: worker.turn.now) : nil
        pool.judge(result, latency: latency ?? waited, of: endpoint, isTrial: isTrial)
    }

    /// Tells that its time was over before the task answered: the task's fault unless it waited for the caller to go
    /// on.
    func timeOut(in pool: ClusterPool?) {
        let wasTasksTurn = withExchange { $0.requestBody.isFinished || $0.requestBody.pending > 0 }
        conclude(wasTasksTurn ? .timedOut : .abandoned, in: pool)
    }

    /// Nothing more is to be learned of it, and its place among the retries is free.
    private func settle() {
        let pool = exchange.pool
        conclude(.abandoned, in: pool)
        if let place { pool?.retryEnded(place) }
        place = nil
    }

    /// A message is what an ejected endpoint has to bring; how a long stream ends is another matter.
    private func passTrial() {
        guard let endpoint, let pool = exchange.pool else { return }
        isTrial = false
        pool.judge(.grpc(GRPCStatus.ok.rawValue), latency: nil, of: endpoint, isTrial: true)
    }

    /// Tells that its caller missed an answer.
    /// - Returns: whether its task has answered nobody for this many nanoseconds.
    func noteMissed(for patience: Int64, now: Int64) -> Bool {
        endpoint?.outlier.noteMissed(for: patience, now: now) ?? false
    }

    /// Nanoseconds that it has been running.
    func age(now: Int64) -> Int64 { now - startedAt }

    /// Makes it as new.
    func clear() {
        if !isConcluded || place != nil { settle() }
        noteArrival()
        dropHeldHead()
        cancelTimer()
        ticket?.cancel()
        ticket = nil
        if let copies {
            worker.blocks.give(copies.request)
            self.copies = nil
        }
        state = .idle
        held = nil
        endpoint = nil
        sentBytes = 0
        interimCount = 0
        isTrial = false
        isConcluded = false
        latency = nil
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
    /// name. Of the streams that one incident ends one `counts` against the endpoint.
    case failed(Failure, counts: Bool)
}
