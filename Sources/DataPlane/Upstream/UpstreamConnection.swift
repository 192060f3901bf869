import HTTP2
import NIOCore
import Policy
import Synchronization
import Telemetry

/// One HTTP/2 connection to a task.
///
/// ```
///   connecting ──connected──▶ ready ──GOAWAY, ids used up, endpoint left, given up──▶ draining ──▶ closed
///        └────────────────── refused, timed out ─────────────────────────────────────────────────▶
/// ```
/// Ready is not enough for streams: the task has to have *proven* itself, by its SETTINGS and, where the cluster asks
/// for it, by serving the service (``ServiceVerification``); and it has to acknowledge what it is sent
/// (``ConnectionWatch``). What the task says, and whether it lives, are extensions in files of their own.
///
/// Confined to its worker's loop.
final class UpstreamConnection {
    enum State {
        case connecting
        case ready
        /// Takes no new stream; ends with its last one.
        case draining
        case closed
    }

    let endpoint: Endpoint
    let isProbe: Bool
    /// Among the connections of its cluster.
    let place: CircuitPlace
    /// Held, also when the endpoint has left the set: what runs on the connection ends in its pool.
    /// ``EndpointPool/remove(_:)`` undoes the cycle.
    let pool: EndpointPool
    unowned(unsafe) let worker: Worker
    let cluster: ClusterPool
    let settings: ClusterSettings
    private(set) var state = State.connecting
    /// Until the connection is closed.
    private(set) var held: Transport?
    /// The same, for use on the path of a request.
    private var transport: Borrowed<Transport>?
    private var session: Session? { held?.session }
    /// Why the streams that are still open get no answer; set before they are swept.
    private(set) var loss: Failure?
    private var isLossCounted = false

    /// Nil until the connection is made.
    private(set) var watchdog: WheelTimer?
    var watch: ConnectionWatch
    /// The question after the task's service, while it has no answer.
    var verification: ServiceVerification?
    /// Whether the task has said what it takes to send it streams.
    private(set) var isProven = false
    private var isClosing = false
    /// Whether a stream ever ran on it.
    private var hasServed = false

    /// - Parameter isProbe: whether it is the one try of an unreachable endpoint, claimed with
    ///   ``Policy/Endpoint/claimProbe(now:lease:)``.
    init(endpoint: Endpoint, pool: EndpointPool, place: CircuitPlace, isProbe: Bool = false) {
        self.place = place
        self.isProbe = isProbe
        self.endpoint = endpoint
        self.pool = pool
        self.worker = pool.worker
        self.cluster = pool.cluster
        self.settings = pool.settings
        watch = ConnectionWatch(settings, now: pool.worker.turn.now)
    }

    /// Whether it is not known yet how many streams it will take.
    var isConnecting: Bool { state == .connecting || state == .ready && !isProven }

    /// Whether the connection takes streams, now or as soon as it is made.
    var isUsable: Bool { state == .connecting || state == .ready && !watch.isStalled }

    /// Whether a stream can start on it now.
    var hasSlot: Bool {
        // A task says in its SETTINGS how many streams it takes, and says it first of all (RFC 9113, 3.4); more than
        // that would be reset, by some servers with a code that callers do not survive.
        guard state == .ready, isProven, !watch.isStalled, let session else { return false }
        return session.streamCount < min(settings.maxStreamsPerConnection, session.peerMaxConcurrentStreams)
    }

    /// Whether it takes streams and has none.
    var isAtRest: Bool { state == .ready && isProven && session?.streamCount == 0 }

    /// Whether streams run on it, or did a moment ago.
    func isInUse(now: Int64) -> Bool {
        guard hasServed, let session else { return false }
        return session.streamCount > 0 || watch.isIdleLess(than: Self.restMax, now: now)
    }

    /// Nanoseconds without a stream after which nobody is expected to come soon.
    private static let restMax: Int64 = 10_000_000_000

    /// Whether the task was heard on it a moment ago: then it lives, whatever other connections come to.
    func isHeard(now: Int64) -> Bool {
        state == .ready && isProven && watch.isHeard(now: now)
    }

    /// Whether it is in use and nothing speaks against the task.
    func isUndoubted(now: Int64) -> Bool {
        state == .ready && isProven && watch.isUndoubted(now: now)
    }

    // MARK: Connecting

    func connect() {
        var sessionSettings = SessionSettings(settings.limits)
        sessionSettings.maxConcurrentStreams = settings.maxStreamsPerConnection
        let session = Session(role: .client, settings: sessionSettings, blocks: worker.blocks, delegate: self)
        let transport = Transport(session: session, turn: worker.turn, owner: self, speaksFirst: true)
        held = transport
        self.transport = Borrowed(transport)
        do {
            let bound = NIOLoopBound(self, eventLoop: worker.eventLoop)
            try TaskSocket.connect(
                transport, to: endpoint.address, settings: settings, eventLoop: worker.eventLoop
            ).whenComplete { result in
                bound.value.connected(result)
            }
        } catch {
            connected(.failure(error))
        }
    }

    private func connected(_ result: Result<any Channel, any Error>) {
        switch result {
        case .success:
            guard state == .connecting else {
                // Its endpoint left meanwhile.
                held?.closeNow()
                return
            }
            state = .ready
            let now = worker.turn.now
            watch = ConnectionWatch(settings, now: now)
            endpoint.connections.add(1, ordering: .relaxed)
            cluster.count(.connections)
            cluster.count(.connectionsActive)
            watchdog = WheelTimer { [unowned self] in look() }
            armWatchdog(now)
            held?.markDirty()
        case .failure(let error):
            let wasConnecting = state == .connecting
            state = .closed
            held?.abandon()
            held = nil
            transport = nil
            if wasConnecting {
                let reason = ConnectErrors.text(error)
                let message = "cannot connect to \(endpoint.name) of cluster \(cluster.cluster.name): \(reason)"
                pool.connectionFailed(
                    self, Failure(.connectFailure, message), reason: ConnectErrors.isOurs(error) ? nil : reason)
            }
            pool.remove(self)
        }
    }

    // MARK: Proof

    /// The task's SETTINGS are here, the first or later ones.
    func settingsArrived() {
        if isProven {
            if state == .ready { pool.slotsAvailable(on: self) }
        } else if verification == nil {
            if let service = settings.verifyService { verify(service) } else { prove() }
        }
    }

    private func verify(_ service: String) {
        guard state == .ready, let session else { return }
        let verification = ServiceVerification(service: service)
        let headers = worker.blocks.take()
        verification.writeHead(
            to: headers, authority: endpoint.name, timeout: settings.settingsTimeout.nanoseconds)
        let body = BodyQueue()
        body.append(ByteBuffer(bytes: verification.message))
        body.finish()
        self.verification = verification
        watch.noteVerification(now: worker.turn.now)
        // Without an owner, which tells it from the streams of exchanges.
        guard session.submitRequest(headers, body: body, owner: nil) != nil else {
            worker.blocks.give(headers)
            beginDraining(Failure(.connectFailure, "takes no stream"))
            return
        }
        held?.markDirty()
    }

    /// The stream of the verification is gone.
    func verificationEnded(_ verdict: ServiceVerification.Verdict) {
        guard let subject = verification?.subject, state == .ready || state == .draining else { return }
        switch verdict {
        case .serving:
            verification = nil
            if state == .ready { prove() } else { closeIfDone() }
        case .refused(let answer):
            beginDraining(Failure(.connectFailure, "does not serve \(subject) (\(answer))"))
            closeIfDone()
        }
    }

    private func prove() {
        isProven = true
        watch.noteReady()
        endpoint.recordReached()
        pool.slotsAvailable(on: self)
    }

    // MARK: Streams

    /// Starts the attempt on a new stream.
    /// - Returns: false when the connection takes none after all.
    func start(_ attempt: Attempt) -> Bool {
        guard state == .ready, let session, let request = attempt.request else { return false }
        if attempt.hasWaited { attempt.exchange.tellDeadline(request, now: worker.turn.now) }
        guard session.takesRequests,
            let stream = session.submitRequest(request, body: attempt.body, owner: attempt)
        else {
            beginDraining()
            return false
        }
        endpoint.activeStreams.add(1, ordering: .relaxed)
        endpoint.streamsTotal.add(1, ordering: .relaxed)
        cluster.count(.streamsActive)
        attempt.began(on: stream, of: self, endpoint: endpoint)
        watch.noteStart()
        hasServed = true
        held?.markDirty()
        return true
    }

    /// A stream is gone: its place is free.
    func streamEnded(_ session: Session) {
        if session.streamCount == 0 { watch.noteIdle(now: worker.turn.now) }
        if state == .ready {
            pool.slotsAvailable(on: self)
        } else {
            closeIfDone()
        }
    }

    func resumeBody(_ stream: Stream) {
        transport?.with { transport in
            transport.session.resumeBody(stream)
            transport.markDirty()
        }
    }

    func reset(_ stream: Stream, _ code: ErrorCode) {
        transport?.with { transport in
            transport.session.reset(stream, code)
            transport.markDirty()
        }
    }

    func credit(_ stream: Stream, _ count: Int) {
        // None is due on a stream that the task has ended.
        if stream.remoteEnded { return }
        transport?.with { transport in
            transport.session.creditStream(stream, count)
            transport.markDirty()
        }
    }

    // MARK: Ending

    /// Takes no new stream and closes with its last one.
    func finishGracefully() {
        if state == .connecting {
            state = .draining
            return
        }
        beginDraining()
    }

    /// - Parameter loss: why, in words that follow the endpoint's name. On a connection that has not proven itself it
    ///   is the reason why the endpoint cannot be reached; nil where that is not the task's doing.
    func beginDraining(_ loss: Failure? = nil) {
        guard state == .ready else { return }
        state = .draining
        tellPool(loss)
        closeIfDone()
    }

    private func tellPool(_ loss: Failure?) {
        guard let loss, !isProven else {
            pool.connectionEnded(self)
            return
        }
        if verification != nil { cluster.count(.verificationFailures) }
        pool.connectionFailed(self, connectFailure(loss), reason: loss.message)
    }

    private func closeIfDone() {
        guard state == .draining, !isClosing, let session, session.streamCount == 0 else { return }
        isClosing = true
        session.goAway(.noError)
        held?.closeAfterFlush()
    }

    /// Gives the connection up: its streams get `failure`.
    func lose(_ failure: Failure) {
        loss = loss ?? failure
        beginDraining(failure)
        held?.closeNow()
    }

    /// A connection that is lost is one failure of the task, however many streams ran on it.
    /// - Returns: whether it is still to be counted.
    func countLoss() -> Bool {
        defer { isLossCounted = true }
        return !isLossCounted
    }

    /// Why the connection ended when nobody has said so: the task closed it, or the library did because of what it
    /// sent.
    private var lossWithoutReason: Failure {
        if let code = session?.goAwaySent, code != .noError {
            return Failure(.upstreamProtocolError, "broke HTTP/2 (\(code))")
        }
        if let verification {
            let question = "whether it serves \(verification.subject)"
            return Failure(.connectionLost, "closed the connection when asked \(question)")
        }
        if !isProven { return Failure(.connectionLost, "closed the connection before it sent SETTINGS") }
        return Failure(.connectionLost, "closed the connection before the response was complete")
    }

    /// A loss before anything of a request was written is a connect that failed; with the names that its message lacks.
    func connectFailure(_ loss: Failure) -> Failure {
        Failure(.connectFailure, "\(endpoint.name) of cluster \(cluster.cluster.name) \(loss.message)")
    }
}

// MARK: - Transport

extension UpstreamConnection: TransportOwner {
    func transport(_ transport: Transport, didRead count: Int, now: Int64) {
        watch.noteRead(now: now)
        cluster.count(.bytesReceived, count)
        if state == .draining { closeIfDone() }
    }

    func transport(_ transport: Transport, didWrite count: Int) {
        cluster.count(.bytesSent, count)
        if watch.mayBeUnacknowledged { return }
        let now = worker.turn.now
        watch.noteSent(now: now)
        armWatchdog(now)
    }

    func transport(_ transport: Transport, didFail error: SessionError) {
        let failure = Failure(.upstreamProtocolError, "broke HTTP/2: \(error)")
        loss = loss ?? failure
        beginDraining(failure)
    }

    func transportDidClose(_ transport: Transport, error: (any Error)?) {
        if state == .connecting {
            // The connect's own result follows.
            return
        }
        let wasReady = state == .ready
        let lost = loss ?? lossWithoutReason
        loss = lost
        state = .closed
        if let watchdog {
            worker.timers.cancel(watchdog)
            endpoint.connections.subtract(1, ordering: .relaxed)
            cluster.count(.connectionsActive, -1)
        }
        session?.sweep(.internalError)
        held = nil
        self.transport = nil
        if wasReady { tellPool(lost) }
        pool.remove(self)
    }
}

@available(*, unavailable)
extension UpstreamConnection: Sendable {}
