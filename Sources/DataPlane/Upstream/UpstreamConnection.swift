import HTTP2
import Logging
import NIOCore
import NIOPosix
import Policy
import Synchronization
import Telemetry

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// One HTTP/2 connection to a task.
///
/// ```
///   connecting ──connected──▶ ready ──GOAWAY, ids used up, endpoint left, PING unanswered──▶ draining ──▶ closed
///        └────────────────── refused, timed out ─────────────────────────────────────────────────────────▶
/// ```
/// Confined to its worker's loop.
final class UpstreamConnection {
    private enum State {
        case connecting
        case ready
        /// Takes no new stream; ends with its last one.
        case draining
        case closed
    }

    let endpoint: Endpoint
    let isProbe: Bool
    /// Held, also when the endpoint has left the set: what runs on the connection ends in its pool.
    /// ``EndpointPool/remove(_:)`` undoes the cycle.
    private let pool: EndpointPool
    private unowned(unsafe) let worker: Worker
    private let cluster: ClusterPool
    private let settings: ClusterSettings
    private var state = State.connecting
    /// Until the connection is closed.
    private var held: Transport?
    /// The same, for use on the path of a request.
    private var transport: Borrowed<Transport>?
    private var session: Session? { held?.session }
    /// Why the streams that are still open get no answer; set before they are swept.
    private var loss: Failure?

    private var watchdog: WheelTimer?
    private var connectedAt: Int64 = 0
    private var lastReadAt: Int64 = 0
    private var idleSince: Int64 = 0
    /// Since when something was sent to which nothing came back: a task that answers nothing at all is silent from
    /// here on, however many streams came and went meanwhile.
    private var awaitingSince: Int64?
    private var isClosing = false
    private var pingSentAt: Int64?
    /// PINGs since the task last sent a HEADERS or DATA frame: more than two anger it (gRFC A8).
    private var pingsWithoutData = 0
    private static let pingsWithoutDataMax = 2
    private static let patientKeepalive: Int64 = 300_000_000_000

    /// - Parameter isProbe: whether it is the one try of an unreachable endpoint, claimed with
    ///   ``Policy/Endpoint/claimProbe(now:lease:)``.
    init(endpoint: Endpoint, pool: EndpointPool, isProbe: Bool = false) {
        self.isProbe = isProbe
        self.endpoint = endpoint
        self.pool = pool
        self.worker = pool.worker
        self.cluster = pool.cluster
        self.settings = pool.settings
    }

    /// Whether it is not known yet how many streams it will take.
    var isConnecting: Bool { state == .connecting || state == .ready && session?.settingsReceived == false }

    /// Whether the connection takes streams, now or as soon as it is made.
    var isUsable: Bool { state == .connecting || state == .ready }

    /// Whether a stream can start on it now.
    var hasSlot: Bool {
        // A task says in its SETTINGS how many streams it takes, and says it first of all (RFC 9113, 3.4); more than
        // that would be reset, by some servers with a code that callers do not survive.
        guard state == .ready, let session, session.settingsReceived else { return false }
        return session.streamCount < min(settings.maxStreamsPerConnection, session.peerMaxConcurrentStreams)
    }

    // MARK: Connecting

    func connect() {
        let address: SocketAddress
        do {
            address = try SocketAddress(ipAddress: endpoint.address.host, port: endpoint.address.port)
        } catch {
            state = .closed
            let failure = Failure(.connectFailure, "\(endpoint.name) is no address to connect to: \(error)")
            pool.connectionEnded(self, failure: failure)
            pool.remove(self)
            return
        }
        let limits = settings.limits
        var sessionSettings = SessionSettings(limits)
        sessionSettings.maxConcurrentStreams = settings.maxStreamsPerConnection
        let session = Session(role: .client, settings: sessionSettings, blocks: worker.blocks, delegate: self)
        let transport = Transport(session: session, turn: worker.turn, owner: self, speaksFirst: true)
        held = transport
        self.transport = Borrowed(transport)

        let bound = NIOLoopBound(self, eventLoop: worker.eventLoop)
        var bootstrap = ClientBootstrap(group: worker.eventLoop)
            .connectTimeout(.nanoseconds(settings.connectTimeout.nanoseconds))
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.maxMessagesPerRead, value: 4)
            .channelOption(.recvAllocator, value: ReadBuffers.allocator)
            .channelOption(.writeBufferWaterMark, value: ReadBuffers.writeWaterMark)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let transport = bound.value.held {
                        try channel.pipeline.syncOperations.addHandler(transport)
                    }
                }
            }
        #if os(Linux)
        // A task that went dark with its host: no acknowledgement for this long ends the connection.
        bootstrap = bootstrap.channelOption(
            ChannelOptions.Types.SocketOption(
                level: .tcp, name: NIOBSDSocket.Option(rawValue: CInt(TCP_USER_TIMEOUT))),
            value: Self.userTimeoutMilliseconds)
        #endif
        bootstrap.connect(to: address).whenComplete { result in
            bound.value.connected(result.map { _ in () })
        }
    }

    private static let userTimeoutMilliseconds: Int = 5_000

    private func connected(_ result: Result<Void, any Error>) {
        switch result {
        case .success:
            guard state == .connecting else {
                // Its endpoint left meanwhile.
                held?.closeNow()
                return
            }
            state = .ready
            let now = worker.turn.now
            connectedAt = now
            lastReadAt = now
            idleSince = now
            endpoint.connections.add(1, ordering: .relaxed)
            cluster.count(.connections)
            cluster.count(.connectionsActive)
            watchdog = WheelTimer { [unowned self] in check() }
            armWatchdog(now)
            held?.markDirty()
            pool.slotsAvailable(on: self)
        case .failure(let error):
            let wasConnecting = state == .connecting
            state = .closed
            held?.abandon()
            held = nil
            transport = nil
            if wasConnecting { pool.connectionEnded(self, failure: connectFailure(error)) }
            pool.remove(self)
        }
    }

    private func connectFailure(_ error: any Error) -> Failure {
        let reason: String
        if let error = error as? IOError {
            reason = ConnectErrors.text(error.errnoCode)
        } else if let error = error as? ChannelError, case .connectTimeout(let time) = error {
            reason = "no answer within \(Double(time.nanoseconds) / 1e9) s"
        } else if let error = error as? NIOConnectionError, let first = error.connectionErrors.first {
            return connectFailure(first.error)
        } else {
            reason = "\(error)"
        }
        return Failure(
            .connectFailure, "cannot connect to \(endpoint.name) of cluster \(cluster.cluster.name): \(reason)")
    }

    // MARK: Streams

    /// Starts an attempt of the exchange on a new stream.
    /// - Returns: false when the connection takes none after all.
    func start(_ exchange: Exchange) -> Bool {
        guard state == .ready, let session, let request = exchange.request else { return false }
        guard session.takesRequests,
            let stream = session.submitRequest(request, body: exchange.requestBodyToSend, owner: exchange)
        else {
            beginDraining()
            return false
        }
        endpoint.activeStreams.add(1, ordering: .relaxed)
        endpoint.streamsTotal.add(1, ordering: .relaxed)
        cluster.count(.streamsActive)
        exchange.attemptBegan(on: stream, of: self, endpoint: endpoint)
        if awaitingSince == nil { awaitingSince = worker.turn.now }
        held?.markDirty()
        return true
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

    /// - Parameter failure: why no stream can go to the endpoint at all; nil when it works and only this connection
    ///   ends.
    private func beginDraining(_ failure: Failure? = nil) {
        guard state == .ready else { return }
        state = .draining
        pool.connectionEnded(self, failure: failure)
        closeIfDone()
    }

    private func closeIfDone() {
        guard state == .draining, !isClosing, let session, session.streamCount == 0 else { return }
        isClosing = true
        session.goAway(.noError)
        held?.closeAfterFlush()
    }

    /// Gives the connection up: its streams get `failure`.
    private func lose(_ failure: Failure) {
        loss = loss ?? failure
        beginDraining(session?.settingsReceived == true ? nil : connectFailure(failure))
        held?.closeNow()
    }

    /// Why the connection ended when nobody has said so: the task closed it, or the library did because of what it
    /// sent.
    private var lossWithoutReason: Failure {
        if let code = session?.goAwaySent, code != .noError {
            return Failure(.upstreamProtocolError, "broke HTTP/2 (\(code))")
        }
        return Failure(.connectionLost, "closed the connection before the response was complete")
    }

    /// A loss before the task has said a word of HTTP/2 is a connect that failed; with the names that its message
    /// lacks.
    private func connectFailure(_ loss: Failure) -> Failure {
        Failure(.connectFailure, "\(endpoint.name) of cluster \(cluster.cluster.name) \(loss.message)")
    }

    // MARK: Watching

    /// Looks whether the task still lives; arms itself for the next look.
    private func check() {
        guard let session, state == .ready || state == .draining else { return }
        let now = worker.turn.now
        if !session.settingsReceived, now - connectedAt >= settings.settingsTimeout.nanoseconds {
            lose(Failure(.connectFailure, "accepted the connection but sent no SETTINGS"))
            return
        }
        if let pingSentAt {
            if lastReadAt > pingSentAt {
                self.pingSentAt = nil
            } else if now - pingSentAt >= settings.keepaliveTimeout.nanoseconds {
                cluster.count(.keepaliveTimeouts)
                lose(Failure(.connectionLost, "did not answer a PING for \(settings.keepaliveTimeout)"))
                return
            }
        } else if let since = silentSince {
            if now - since >= keepaliveInterval {
                session.ping()
                pingSentAt = now
                pingsWithoutData += 1
                held?.markDirty()
            }
        } else if now - idleSince >= settings.idleTimeout.nanoseconds {
            beginDraining()
            return
        }
        armWatchdog(now)
    }

    /// Since when the task has been silent although it should speak; nil on a connection at rest.
    private var silentSince: Int64? {
        awaitingSince ?? (session?.streamCount ?? 0 > 0 ? lastReadAt : nil)
    }

    private var keepaliveInterval: Int64 {
        pingsWithoutData < Self.pingsWithoutDataMax ? settings.keepaliveInterval.nanoseconds : Self.patientKeepalive
    }

    private func armWatchdog(_ now: Int64) {
        guard let watchdog, let session else { return }
        var next: Int64
        if let pingSentAt {
            next = pingSentAt + settings.keepaliveTimeout.nanoseconds
        } else if let since = silentSince {
            next = since + keepaliveInterval
        } else {
            // A stream that starts meanwhile is looked at with the keepalive's delay at most.
            next = min(idleSince + settings.idleTimeout.nanoseconds, now + keepaliveInterval)
        }
        if !session.settingsReceived { next = min(next, connectedAt + settings.settingsTimeout.nanoseconds) }
        worker.timers.arm(watchdog, at: max(next, now + 1_000_000))
    }
}

// MARK: - Session

extension UpstreamConnection: SessionDelegate {
    /// The exchange that owns a stream. Only exchanges own streams of this session.
    @inline(__always)
    private func withExchange(_ stream: Stream, _ body: (Exchange) -> Void) {
        stream.uncountedOwner?._withUnsafeGuaranteedRef { body(unsafeDowncast($0, to: Exchange.self)) }
    }

    func session(
        _ session: Session, didReceive headers: HeaderBlock, kind: HeaderKind, on stream: Stream, endStream: Bool
    ) {
        pingsWithoutData = 0
        if stream.uncountedOwner == nil { worker.blocks.give(headers) }
        withExchange(stream) { exchange in
            switch kind {
            case .informational: exchange.receiveInformational(headers)
            case .head: exchange.receiveHead(headers, endStream: endStream)
            case .trailers: exchange.receiveResponseEnd(trailers: headers)
            }
        }
    }

    func session(_ session: Session, didReceiveData count: Int, on stream: Stream) {
        pingsWithoutData = 0
        session.creditConnection(count)
        withExchange(stream) { $0.receiveResponseData(count, from: session) }
    }

    func session(_ session: Session, didReceiveEndOf stream: Stream) {
        withExchange(stream) { $0.receiveResponseEnd(trailers: nil) }
    }

    func session(_ session: Session, didReceiveReset code: ErrorCode, on stream: Stream) {
        cluster.count(.resetsReceived)
    }

    func session(_ session: Session, didSendData count: Int, on stream: Stream) {
        withExchange(stream) { $0.upstreamSent(count) }
    }

    func session(_ session: Session, didSendHeadersOn stream: Stream) {}

    func session(_ session: Session, didClose stream: Stream, code: ErrorCode) {
        endpoint.activeStreams.subtract(1, ordering: .relaxed)
        cluster.count(.streamsActive, -1)
        withExchange(stream) { $0.upstreamClosed(closing(of: stream, code, session)) }
        if session.streamCount == 0 { idleSince = worker.turn.now }
        if state == .ready {
            pool.slotsAvailable(on: self)
        } else {
            closeIfDone()
        }
    }

    private func closing(of stream: Stream, _ code: ErrorCode, _ session: Session) -> UpstreamClosing {
        if stream.remoteEnded { return .completed }
        if let loss {
            if !stream.headersSent {
                return .unsent(connectFailure(loss))
            }
            if !session.settingsReceived {
                // SETTINGS is the first thing an HTTP/2 server sends: this one has processed nothing.
                return .unsent(connectFailure(loss))
            }
            return .failed(loss)
        }
        if stream.resetByUs { return .completed }
        let refusal = Failure(.connectFailure, "\(endpoint.name) of cluster \(cluster.cluster.name) refused the stream")
        if let reset = stream.resetByPeer {
            return reset == .refusedStream ? .refused(refusal) : .reset(reset)
        }
        if code == .refusedStream {
            // The library closes what is above GOAWAY's last id, and what it could not send after a GOAWAY.
            return stream.headersSent ? .refused(refusal) : .unsent(refusal)
        }
        if !stream.headersSent { return .unsent(refusal) }
        if code == .noError { return .completed }
        return .failed(Failure(.upstreamProtocolError, "sent a malformed response (\(code))"))
    }

    func sessionDidReceiveSettings(_ session: Session) {
        endpoint.recordReached()
        if state == .ready { pool.slotsAvailable(on: self) }
    }

    func sessionDidReceiveSettingsAck(_ session: Session) {}

    func session(_ session: Session, didReceiveGoAway lastStreamID: Int32, code: ErrorCode, debug: String) {
        cluster.count(.goAwayReceived)
        if code != .noError {
            worker.logger.warning(
                "task said GOAWAY",
                metadata: [
                    "cluster": "\(cluster.cluster.name)", "endpoint": "\(endpoint.name)", "code": "\(code)",
                    "debug": "\(debug)",
                ])
        }
        beginDraining()
    }

    func sessionDidReceivePingAck(_ session: Session) {}

    func session(_ session: Session, didSendReset code: ErrorCode, on streamID: Int32, provoked: Bool) {
        cluster.count(.resetsSent)
    }

    func sessionIsNearGlitchLimit(_ session: Session) {
        beginDraining()
    }
}

// MARK: - Transport

extension UpstreamConnection: TransportOwner {
    func transport(_ transport: Transport, didRead count: Int, now: Int64) {
        lastReadAt = now
        awaitingSince = nil
        cluster.count(.bytesReceived, count)
        if state == .draining { closeIfDone() }
    }

    func transport(_ transport: Transport, didWrite count: Int) {
        cluster.count(.bytesSent, count)
    }

    func transport(_ transport: Transport, didFail error: SessionError) {
        let failure = Failure(.upstreamProtocolError, "broke HTTP/2: \(error)")
        loss = loss ?? failure
        beginDraining(session?.settingsReceived == true ? nil : connectFailure(failure))
    }

    func transportDidClose(_ transport: Transport, error: (any Error)?) {
        if state == .connecting {
            // The connect's own result follows.
            return
        }
        let wasReady = state == .ready
        if let watchdog { worker.timers.cancel(watchdog) }
        let lost = loss ?? lossWithoutReason
        loss = lost
        let hadSpoken = session?.settingsReceived == true
        state = .closed
        if connectedAt != 0 {
            endpoint.connections.subtract(1, ordering: .relaxed)
            cluster.count(.connectionsActive, -1)
        }
        session?.sweep(.internalError)
        held = nil
        self.transport = nil
        if wasReady { pool.connectionEnded(self, failure: hadSpoken ? nil : connectFailure(lost)) }
        pool.remove(self)
    }
}

@available(*, unavailable)
extension UpstreamConnection: Sendable {}
