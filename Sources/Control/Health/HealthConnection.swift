import HTTP2
import NIOCore
import NIOPosix
import Policy

/// One HTTP/2 connection to an endpoint, for its checks. Confined to the loop of the checks.
final class HealthConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let authority: String
    private let blocks = HeaderBlockPool(capacity: 4)
    private var session: Session?
    private var context: ChannelHandlerContext?
    /// Whether the session is at work, so that it must not be asked for bytes.
    private var isInside = false
    private var isClosing = false
    /// Why the connection is lost.
    private var cause: HealthResult?
    /// Called once, when the connection takes no more calls.
    private var onEnd: ((HealthConnection, End) -> Void)?

    /// Why a connection takes no more calls.
    enum End {
        /// The task said so; calls that run go on.
        case leaving
        /// Calls that run are told next.
        case lost
    }

    /// The connection is lost since the task answers in HTTP/1.1.
    static let speaksOldHTTP = HealthResult.failed("the task speaks HTTP/1.1")
    /// How much of what the task says first tells that.
    private static let oldHTTP = "HTTP/1."
    private var hasHeard = false

    /// Bytes that are produced before they are written.
    private static let writeSize = 16_384

    /// - Parameter onEnd: called once, when the connection takes no more calls; not after ``close()``.
    init(authority: String, onEnd: @escaping (HealthConnection, End) -> Void) {
        self.authority = authority
        self.onEnd = onEnd
    }

    /// Begins to connect; calls may be made at once.
    func connect(to target: ProbeTarget) {
        guard let address = target.address else { return lose(.failed("not an address")) }
        session = Session(role: .client, settings: SessionSettings(), blocks: blocks, delegate: self)
        let bound = NIOLoopBound(self, eventLoop: target.eventLoop)
        ClientBootstrap(group: target.eventLoop)
            .connectTimeout(target.connectTimeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(bound.value)
                }
            }
            .connect(to: address)
            .whenFailure { bound.value.lose(ProbeErrors.result($0)) }
    }

    /// Starts a call. What comes of it is told to the call, perhaps at once.
    func start(_ call: HealthCall) {
        guard let session, session.takesRequests else {
            call.end(.lost(cause ?? .failed("connection closed")))
            return
        }
        let headers = blocks.take()
        call.writeHead(to: headers, authority: authority)
        var body: BodyQueue?
        if let message = call.message {
            let queue = BodyQueue()
            queue.append(ByteBuffer(bytes: message))
            queue.finish()
            body = queue
        }
        guard session.submitRequest(headers, body: body, owner: call) != nil else {
            blocks.give(headers)
            call.end(.lost(.failed("takes no stream")))
            return
        }
        flush()
    }

    /// Ends a call early; nothing more is told of it.
    func cancel(_ call: HealthCall) {
        call.forget()
        session?.forEachStream { stream in
            if stream.owner === call { session?.reset(stream, .cancel) }
        }
        flush()
    }

    /// Says good-bye and closes. Calls that run are told that they are lost.
    func close() {
        onEnd = nil
        isClosing = true
        cause = cause ?? .failed("connection closed")
        session?.goAway(.noError)
        flush()
        if !isInside { closeChannel() }
    }

    private func closeChannel() {
        if let context { context.close(promise: nil) } else { lose(.failed("connection closed")) }
    }

    private func takesNoMore(_ end: End) {
        let onEnd = onEnd
        self.onEnd = nil
        onEnd?(self, end)
    }

    /// The connection is gone, or was never made.
    private func lose(_ result: HealthResult) {
        // The library ends a session by itself, too, where the peer speaks something else.
        let code = session?.goAwaySent ?? .noError
        cause = cause ?? (code == .noError ? result : .failed("no proper HTTP/2 (\(code))"))
        takesNoMore(.lost)
        guard let session else { return }
        self.session = nil
        context = nil
        session.sweep(.cancel)
    }

    // MARK: Channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func channelActive(context: ChannelHandlerContext) {
        if isClosing { closeChannel() } else { flush() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let session, !isClosing else { return }
        let bytes = unwrapInboundIn(data)
        if !hasHeard, bytes.readableBytesView.starts(with: Self.oldHTTP.utf8) { cause = Self.speaksOldHTTP }
        hasHeard = true
        isInside = true
        do throws(SessionError) {
            try session.receive(bytes, now: Int64(bitPattern: NIODeadline.now().uptimeNanoseconds))
        } catch {
            cause = cause ?? .failed("\(error)")
            isClosing = true
        }
        isInside = false
        flush()
        if session.isDone { closeChannel() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        cause = cause ?? ProbeErrors.result(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        lose(.failed("connection closed by the task"))
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        lose(.failed("connection closed by the task"))
    }

    private func flush() {
        guard !isInside, let session, let context, context.channel.isActive else { return }
        var isMore = true
        while isMore {
            isInside = true
            isMore = session.produce(limit: Self.writeSize)
            isInside = false
            if session.output.readableBytes == 0 { break }
            context.writeAndFlush(wrapOutboundOut(session.output), promise: nil)
            session.output.clear()
        }
        // The session may have told somebody who wants no more of the connection.
        if isClosing { closeChannel() }
    }
}

extension HealthConnection: SessionDelegate {
    private func call(_ stream: HTTP2.Stream) -> HealthCall? {
        stream.owner as? HealthCall
    }

    func session(
        _ session: Session, didReceive headers: HeaderBlock, kind: HeaderKind, on stream: HTTP2.Stream, endStream: Bool
    ) {
        if kind != .informational { call(stream)?.receive(headers) }
        blocks.give(headers)
    }

    func session(_ session: Session, didReceiveData count: Int, on stream: HTTP2.Stream) {
        let bytes = BodyQueue()
        session.takeData(into: bytes)
        session.creditConnection(count)
        session.creditStream(stream, count)
        call(stream)?.receive(bytes.readAll())
    }

    func session(_ session: Session, didClose stream: HTTP2.Stream, code: ErrorCode) {
        guard let call = call(stream) else { return }
        if stream.remoteEnded {
            call.end(.complete)
        } else if self.session == nil || session.goAwayReceived {
            call.end(.lost(cause ?? .failed("the task leaves")))
        } else {
            call.end(.reset(stream.resetByPeer ?? code))
        }
    }

    func session(_ session: Session, didReceiveGoAway lastStreamID: Int32, code: ErrorCode, debug: String) {
        takesNoMore(.leaving)
    }
}

@available(*, unavailable)
extension HealthConnection: Sendable {}
