import HTTP2
import Logging
import NIOCore
import Policy
import Telemetry

/// One caller's connection: its session, its exchanges, and the limits it lives under. Confined to its worker's loop.
final class DownstreamConnection {
    /// Lives as long as the process.
    unowned(unsafe) let worker: Worker
    let settings: ListenerSettings
    /// The caller's IP address as text, for `x-forwarded-for`; empty on a Unix socket.
    let peerAddress: String
    /// What a rate limit tells the caller apart by.
    private(set) lazy var peerHash = Admission.hash(address: peerAddress)
    /// Until the connection is closed.
    private var held: Transport?
    /// The same, for use on the path of a request.
    private var transport: Borrowed<Transport>?
    private var session: Session? { held?.session }

    /// Exchanges over the per-turn limit; they go on next turn.
    private var backlog: ContiguousArray<Exchange> = []
    private var startsInTurn = 0
    private var resets: PrematureResets
    /// Request and response bytes held for this connection.
    private var bufferedBytes = 0
    /// Connection credit that is held back while too much is buffered.
    private var owedCredit = 0

    private let acceptedAt: Int64
    /// When the connection is asked to go because of its age, and (once it was) when its streams are ended.
    private var agesAt = Int64.max
    private var graceEndsAt = Int64.max
    private var lastActivityAt: Int64
    /// The header block that had begun and not ended at the end of the last read, and since when.
    private var headerBlockNumber = 0
    private var headerBlockSince: Int64?
    private var stallCheckedAt: Int64
    private var watchdog: WheelTimer?
    private var drainTimer: WheelTimer?
    private var isClosed = false
    private let onClose: () -> Void

    /// Between the two GOAWAYs: streams that cross the first are still served.
    private static let goAwayGap: Int64 = 1_000_000_000
    /// Stalled streams are looked for this many times per stall timeout.
    private static let stallChecks: Int64 = 4

    init(worker: Worker, settings: ListenerSettings, peerAddress: String, onClose: @escaping () -> Void) {
        self.worker = worker
        self.settings = settings
        self.peerAddress = peerAddress
        self.onClose = onClose
        resets = PrematureResets(limits: settings.limits)
        acceptedAt = worker.turn.now
        lastActivityAt = acceptedAt
        stallCheckedAt = acceptedAt
        if let age = ConnectionAge.draw(settings, &worker.random) { agesAt = acceptedAt + age }
    }

    /// Makes the session and the handler that joins it to the channel.
    func makeTransport() -> Transport {
        let session = Session(
            role: .server, settings: SessionSettings(settings.limits), blocks: worker.blocks, delegate: self)
        // Nothing is said before the client has shown that it speaks HTTP/2: others get an answer they understand.
        let transport = Transport(session: session, turn: worker.turn, owner: self, speaksFirst: false)
        held = transport
        self.transport = Borrowed(transport)
        watchdog = WheelTimer { [unowned self] in check() }
        armWatchdog(acceptedAt)
        return transport
    }

    // MARK: Commands of exchanges

    func submitResponse(_ headers: HeaderBlock, body: BodyQueue?, on stream: Stream) {
        transport?.with { transport in
            transport.session.submitResponse(headers, body: body, on: stream)
            transport.markDirty()
        }
    }

    /// Ends the response now, whatever its body still holds.
    func endResponse(_ trailers: HeaderBlock, on stream: Stream) {
        transport?.with { transport in
            transport.session.endResponse(trailers, on: stream)
            transport.markDirty()
        }
    }

    func submitInformational(_ headers: HeaderBlock, on stream: Stream) {
        transport?.with { transport in
            transport.session.submitInformational(headers, on: stream)
            transport.markDirty()
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
        guard !stream.remoteEnded else { return }
        transport?.with { transport in
            transport.session.creditStream(stream, count)
            transport.markDirty()
        }
    }

    /// Notes body bytes held for an exchange of this connection (or let go, negative).
    func noteBuffered(_ count: Int) {
        bufferedBytes += count
        if owedCredit > 0 { _ = repay() }
    }

    /// Gives the connection credit that was held back, if there is room again.
    /// - Returns: whether nothing is owed any more.
    func repay() -> Bool {
        if isOverBudget { return false }
        session?.creditConnection(owedCredit)
        owedCredit = 0
        held?.markDirty()
        return true
    }

    private var isOverBudget: Bool {
        bufferedBytes > settings.limits.maxBufferedBytesPerConnection || worker.isOverBufferBudget
    }

    // MARK: Starting exchanges

    private func enqueue(_ exchange: Exchange) {
        if startsInTurn == 0 { worker.noteStarts(of: self) }
        startsInTurn += 1
        if startsInTurn <= settings.limits.maxNewStreamsPerTurn {
            worker.enqueue(exchange)
        } else {
            backlog.append(exchange)
        }
    }

    /// Begins a new turn for the per-turn limit: what is over moves up.
    /// - Returns: whether something is still over it.
    func beginTurn() -> Bool {
        startsInTurn = 0
        if backlog.isEmpty { return false }
        let count = min(backlog.count, settings.limits.maxNewStreamsPerTurn)
        for exchange in backlog.prefix(count) { worker.enqueue(exchange) }
        backlog.removeFirst(count)
        startsInTurn = count
        return true
    }

    // MARK: Ending

    /// Says good-bye in two steps (RFC 9113, 6.8): first a GOAWAY that refuses nothing, a second later the one with
    /// the last stream; the connection closes when its streams have ended.
    func drain() {
        guard drainTimer == nil, !isClosed, let session else { return }
        session.announceShutdown()
        held?.markDirty()
        let timer = WheelTimer { [unowned self] in
            self.session?.goAway(.noError)
            self.held?.markDirty()
        }
        drainTimer = timer
        worker.timers.arm(timer, at: worker.turn.now + Self.goAwayGap)
    }

    /// Ends what is left: gRPC streams with UNAVAILABLE, others with a reset; then closes.
    func endNow(_ failure: Failure = Failure(.draining, "the proxy is shutting down")) {
        // What can go goes: only what waits for the caller is cut.
        held?.flush()
        guard let session, !isClosed else { return }
        session.forEachStream { stream in
            withExchange(stream) { $0.failNow(failure) }
        }
        session.goAway(.noError)
        held?.closeAfterFlush()
    }

    private func kill(_ code: ErrorCode, _ metric: WorkerMetric) {
        worker.count(metric)
        session?.terminate(code)
        held?.closeAfterFlush()
        cancelAttempts()
    }

    /// The caller will hear nothing more: the tasks need not work for it.
    private func cancelAttempts() {
        session?.forEachStream { stream in withExchange(stream) { $0.downstreamReset() } }
    }

    /// The exchange that owns a stream. Only exchanges own streams of this session.
    @inline(__always)
    private func withExchange(_ stream: Stream, _ body: (Exchange) -> Void) {
        stream.uncountedOwner?._withUnsafeGuaranteedRef { body(unsafeDowncast($0, to: Exchange.self)) }
    }

    // MARK: Watching

    /// Looks for what takes too long; arms itself for the next look.
    private func check() {
        guard let transport = held, !isClosed else { return }
        let session = transport.session
        let now = worker.turn.now
        let limits = settings.limits
        if !session.settingsReceived {
            if now - acceptedAt >= limits.prefaceTimeout.nanoseconds {
                return kill(.settingsTimeout, .killedPreface)
            }
        } else if !session.settingsAcknowledged, now - acceptedAt >= limits.settingsAckTimeout.nanoseconds {
            return kill(.settingsTimeout, .killedSettings)
        }
        if let since = headerBlockSince, now - since >= limits.headerBlockTimeout.nanoseconds {
            return kill(.enhanceYourCalm, .killedHeaderBlock)
        }
        if let since = transport.blockedSince, now - since >= limits.connectionWriteStall.nanoseconds {
            worker.count(.killedWriteStall)
            transport.closeNow()
            return
        }
        if drainTimer == nil, session.streamCount == 0, now - lastActivityAt >= limits.idleTimeout.nanoseconds {
            worker.count(.killedIdle)
            drain()
        }
        if now >= graceEndsAt {
            graceEndsAt = .max
            endNow(Failure(.draining, "the connection has reached its age, and its streams had time to end"))
        }
        if now >= agesAt, session.settingsReceived { age(now) }
        if now - stallCheckedAt >= limits.streamWriteStall.nanoseconds / Self.stallChecks {
            stallCheckedAt = now
            resetStalledStreams()
        }
        armWatchdog(now)
    }

    /// Asks the caller to go, and says when its streams have to be over.
    private func age(_ now: Int64) {
        agesAt = .max
        guard drainTimer == nil else { return }
        worker.count(.downstreamConnectionsAged)
        if let grace = settings.maxConnectionAgeGrace { graceEndsAt = now + min(grace.nanoseconds, 1 << 60) }
        drain()
    }

    private func resetStalledStreams() {
        session?.forEachStream { stream in
            withExchange(stream) { exchange in
                guard exchange.stallRounds(max: Int(Self.stallChecks)) else { return }
                worker.count(.streamWriteStalls)
                reset(stream, .cancel)
                exchange.downstreamReset()
            }
        }
    }

    private func armWatchdog(_ now: Int64) {
        guard let watchdog, let session else { return }
        let limits = settings.limits
        var next = min(now + limits.streamWriteStall.nanoseconds / Self.stallChecks, agesAt, graceEndsAt)
        if session.streamCount == 0, drainTimer == nil {
            // Streams that begin meanwhile are looked at with the stall check's delay at most.
            next = min(next, lastActivityAt + limits.idleTimeout.nanoseconds)
        }
        if !session.settingsReceived {
            next = acceptedAt + limits.prefaceTimeout.nanoseconds
            if agesAt > now { next = min(next, agesAt) }
        } else if !session.settingsAcknowledged {
            next = min(next, acceptedAt + limits.settingsAckTimeout.nanoseconds)
        }
        if let since = headerBlockSince { next = min(next, since + limits.headerBlockTimeout.nanoseconds) }
        worker.timers.arm(watchdog, at: max(next, now + 1_000_000))
    }
}

// MARK: - Session

extension DownstreamConnection: SessionDelegate {
    func session(
        _ session: Session, didReceive headers: HeaderBlock, kind: HeaderKind, on stream: Stream, endStream: Bool
    ) {
        if kind == .trailers {
            if stream.uncountedOwner == nil { worker.blocks.give(headers) }
            withExchange(stream) { $0.receiveRequestEnd(trailers: headers) }
            return
        }
        let exchange = worker.makeExchange()
        exchange.begin(stream, on: self, request: headers, endStream: endStream, now: session.inputNow)
        enqueue(exchange)
    }

    func session(_ session: Session, didReceiveData count: Int, on stream: Stream) {
        if isOverBudget {
            if owedCredit == 0 { worker.noteIndebted(self) }
            owedCredit += count
        } else {
            session.creditConnection(count)
        }
        withExchange(stream) { $0.receiveRequestData(count, from: session) }
    }

    func sessionDidReceiveSettings(_ session: Session) {
        // Until now only the preface was waited for: an age that has passed meanwhile is due.
        armWatchdog(session.inputNow)
    }

    func session(_ session: Session, didReceiveEndOf stream: Stream) {
        withExchange(stream) { $0.receiveRequestEnd(trailers: nil) }
    }

    func session(_ session: Session, didReceiveReset code: ErrorCode, on stream: Stream) {
        let now = session.inputNow
        var isPremature = false
        withExchange(stream) { exchange in
            isPremature =
                exchange.state != .responding
                && PrematureResets.isPremature(age: now - exchange.startedAt, timeout: exchange.requestedTimeout)
            exchange.downstreamReset()
        }
        worker.count(isPremature ? .resetsReceivedPremature : .resetsReceived)
        if resets.note(isPremature: isPremature, now: now) {
            kill(.enhanceYourCalm, .killedRapidReset)
        }
    }

    func session(_ session: Session, didSendData count: Int, on stream: Stream) {
        withExchange(stream) { $0.downstreamSent(count) }
    }

    func session(_ session: Session, didClose stream: Stream, code: ErrorCode) {
        withExchange(stream) { $0.downstreamClosed() }
        if stream.resetByPeer == nil { _ = resets.note(isPremature: false, now: session.inputNow) }
        if session.streamCount == 0 { lastActivityAt = worker.turn.now }
    }

    func session(_ session: Session, didSendReset code: ErrorCode, on streamID: Int32, provoked: Bool) {
        worker.count(provoked ? .resetsSentProvoked : .resetsSent)
    }

    func sessionIsNearGlitchLimit(_ session: Session) {
        drain()
    }
}

// MARK: - Transport

extension DownstreamConnection: TransportOwner {
    func transport(_ transport: Transport, didRead count: Int, now: Int64) {
        worker.count(.downstreamBytesReceived, count)
        guard let session else { return }
        if session.isInHeaderBlock {
            if headerBlockSince == nil || headerBlockNumber != session.headerBlocks {
                headerBlockNumber = session.headerBlocks
                headerBlockSince = now
                armWatchdog(now)
            }
        } else {
            headerBlockSince = nil
        }
        if session.streamCount == 0 { lastActivityAt = now }
    }

    func transport(_ transport: Transport, didWrite count: Int) {
        worker.count(.downstreamBytesSent, count)
    }

    func transport(_ transport: Transport, didFail error: SessionError) {
        switch error.reason {
        case .continuationFlood: worker.count(.killedContinuation)
        case .headerBytes: worker.count(.killedHeaderBytes)
        case .provokedResets: worker.count(.killedProvokedReset)
        case .glitches: worker.count(.killedGlitches)
        case .flood: worker.count(.killedFlood)
        case .protocolError, .badPreface, .outOfMemory: worker.count(.killedProtocolError)
        }
        worker.logger.debug(
            "connection ended", metadata: ["peer": "\(peerAddress)", "reason": "\(error)"])
        cancelAttempts()
    }

    func transportDidClose(_ transport: Transport, error: (any Error)?) {
        isClosed = true
        if let watchdog { worker.timers.cancel(watchdog) }
        if let drainTimer { worker.timers.cancel(drainTimer) }
        if let session { worker.count(.glitches, session.glitchCount) }
        session?.sweep(.cancel)
        held = nil
        self.transport = nil
        worker.remove(self)
        onClose()
    }
}

@available(*, unavailable)
extension DownstreamConnection: Sendable {}
