import DataPlane
import HTTP2
import NIOCore
import NIOPosix

/// One connection of the load to the mesh. Confined to the load's loop.
final class LoadConnection {
    private let authority: String
    private let blocks = HeaderBlockPool(capacity: 16)
    private let turn: Turn
    private var session: Session?
    private var transport: Transport?
    private let onEnd: (LoadCall) -> Void
    private let onClose: (LoadConnection) -> Void
    private var isLost = false

    /// - Parameters:
    ///   - onEnd: called for each call that was started, once.
    ///   - onClose: called when an established connection is gone, after its calls.
    init(
        authority: String, turn: Turn, onEnd: @escaping (LoadCall) -> Void, onClose: @escaping (LoadConnection) -> Void
    ) {
        self.authority = authority
        self.turn = turn
        self.onEnd = onEnd
        self.onClose = onClose
    }

    func connect(to address: SocketAddress) -> EventLoopFuture<Void> {
        let session = Session(role: .client, settings: SessionSettings(), blocks: blocks, delegate: self)
        let transport = Transport(session: session, turn: turn, owner: self, speaksFirst: true)
        self.session = session
        self.transport = transport
        let bound = NIOLoopBound(transport, eventLoop: turn.eventLoop)
        let connected = ClientBootstrap(group: turn.eventLoop)
            .channelOption(.recvAllocator, value: ReadBuffers.allocator)
            .channelOption(.writeBufferWaterMark, value: ReadBuffers.writeWaterMark)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(bound.value)
                }
            }
            .connect(to: address)
        connected.whenFailure { _ in bound.value.abandon() }
        return connected.map { _ in }
    }

    /// - Returns: false when the connection takes no call now.
    func start(_ call: LoadCall) -> Bool {
        guard let session, session.takesRequests, session.streamCount < session.peerMaxConcurrentStreams else {
            return false
        }
        let headers = call.requestHeaders(authority: authority)
        guard session.submitRequest(headers, body: call.requestBody(), owner: call) != nil else { return false }
        transport?.markDirty()
        return true
    }

    /// Says good-bye and closes.
    func close() {
        session?.goAway(.noError)
        transport?.closeAfterFlush()
    }

    private func call(_ stream: HTTP2.Stream) -> LoadCall? {
        stream.owner as? LoadCall
    }
}

extension LoadConnection: SessionDelegate {
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
        call.end(code, connectionLost: isLost)
        onEnd(call)
    }
}

extension LoadConnection: TransportOwner {
    func transport(_ transport: Transport, didRead count: Int, now: Int64) {}
    func transport(_ transport: Transport, didWrite count: Int) {}
    func transport(_ transport: Transport, didFail error: SessionError) {}

    func transportDidClose(_ transport: Transport, error: (any Error)?) {
        isLost = true
        session?.sweep(.cancel)
        onClose(self)
    }
}
