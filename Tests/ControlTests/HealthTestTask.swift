import HTTP2
import NIOCore
import NIOPosix
import Policy
import Synchronization

/// A task that is asked how it is, and answers as the test has it. Speaks HTTP/2.
final class HealthTestTask: Sendable {
    enum Answer: Sendable {
        /// A message and OK; on a Watch the stream stays open behind the message.
        case status(ServingStatus)
        /// Trailers alone.
        case grpc(Int)
        /// A head alone.
        case http(Int)
        /// A body of these bytes and OK.
        case bytes([UInt8])
        case reset
        case closedConnection
        case silence
        /// NOT_SERVING twice, SERVING once, and so on.
        case flapping
    }

    /// What the task saw.
    enum Seen: Sendable, Equatable {
        case connection
        case request(path: String, body: [UInt8])
        case closed
    }

    fileprivate struct State {
        var check: Answer
        var watch: Answer
        var connections: [any Channel] = []
        var watches: [@Sendable (ServingStatus) -> Void] = []
        var flaps = 0
    }

    fileprivate final class Box: Sendable {
        let mutex: Mutex<State>
        init(_ state: State) { mutex = Mutex(state) }
    }

    let endpoint: Endpoint
    /// In order; to be read by one reader.
    let seen: AsyncStream<Seen>
    private let channel: any Channel
    private let box: Box

    private init(channel: any Channel, box: Box, seen: AsyncStream<Seen>, endpoint: Endpoint) {
        self.channel = channel
        self.box = box
        self.seen = seen
        self.endpoint = endpoint
    }

    /// - Parameter isMute: takes connections and says nothing, not even SETTINGS.
    static func start(
        check: Answer = .status(.serving), watch: Answer = .status(.serving), isMute: Bool = false, port: Int = 0
    ) async throws -> HealthTestTask {
        let box = Box(State(check: check, watch: watch))
        let (seen, source) = AsyncStream.makeStream(of: Seen.self)
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    box.mutex.withLock { $0.connections.append(channel) }
                    source.yield(.connection)
                    channel.closeFuture.whenComplete { _ in source.yield(.closed) }
                    guard !isMute else { return }
                    try channel.pipeline.syncOperations.addHandler(HealthTestConnection(box) { source.yield($0) })
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
        let port = channel.localAddress?.port ?? 0
        return HealthTestTask(
            channel: channel, box: box, seen: seen,
            endpoint: Endpoint(address: EndpointAddress(host: "127.0.0.1", port: port)))
    }

    /// From the next request on.
    func answer(check: Answer) { box.mutex.withLock { $0.check = check } }
    func answer(watch: Answer) { box.mutex.withLock { $0.watch = watch } }

    /// Says it on all Watches that are open.
    func say(_ status: ServingStatus) {
        for watch in box.mutex.withLock({ $0.watches }) { watch(status) }
    }

    var connectionCount: Int { box.mutex.withLock { $0.connections.count } }

    func closeConnections() async {
        for connection in box.mutex.withLock({ $0.connections }) { try? await connection.close() }
    }

    /// GOAWAY on all connections; streams that run go on.
    func leave() async throws {
        for connection in box.mutex.withLock({ $0.connections }) where connection.isActive {
            try await connection.triggerUserOutboundEvent(Leave()).get()
        }
    }

    func stop() async {
        try? await channel.close()
        await closeConnections()
    }

    fileprivate struct Leave: Sendable {}
}

/// Confined to its loop.
private final class HealthTestConnection: ChannelDuplexHandler, SessionDelegate {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let blocks = HeaderBlockPool()
    private let box: HealthTestTask.Box
    private let tell: @Sendable (HealthTestTask.Seen) -> Void
    private var session: Session?
    private var context: ChannelHandlerContext?
    private var requests: [Int32: (path: String, body: [UInt8])] = [:]

    init(_ box: HealthTestTask.Box, _ tell: @escaping @Sendable (HealthTestTask.Seen) -> Void) {
        self.box = box
        self.tell = tell
        session = Session(role: .server, settings: SessionSettings(), blocks: blocks, delegate: self)
    }

    private func flush() {
        guard let context, let session, context.channel.isActive else { return }
        while session.produce(limit: session.output.readableBytes + 65_536) {}
        guard session.output.readableBytes > 0 else { return }
        context.writeAndFlush(wrapOutboundOut(session.output), promise: nil)
        session.output.clear()
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func channelActive(context: ChannelHandlerContext) { flush() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        do throws(SessionError) {
            try session?.receive(unwrapInboundIn(data), now: Int64(NIODeadline.now().uptimeNanoseconds))
        } catch {
            context.close(promise: nil)
        }
        flush()
    }

    func channelInactive(context: ChannelHandlerContext) {
        session?.sweep(.internalError)
        session = nil
        self.context = nil
    }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        session?.goAway(.noError)
        flush()
        promise?.succeed()
    }

    // MARK: Requests

    func session(
        _ session: Session, didReceive headers: HeaderBlock, kind: HeaderKind, on stream: HTTP2.Stream, endStream: Bool
    ) {
        let path = headers.value(.path).map { String(decoding: $0, as: UTF8.self) } ?? ""
        requests[stream.id] = (path, [])
        blocks.give(headers)
        if endStream { answer(stream) }
    }

    func session(_ session: Session, didReceiveData count: Int, on stream: HTTP2.Stream) {
        let queue = BodyQueue()
        session.takeData(into: queue)
        session.creditConnection(count)
        requests[stream.id]?.body += Array(queue.readAll().readableBytesView)
    }

    func session(_ session: Session, didReceiveEndOf stream: HTTP2.Stream) { answer(stream) }

    private func answer(_ stream: HTTP2.Stream) {
        guard let request = requests.removeValue(forKey: stream.id), let session else { return }
        // Told behind the answer, so that a Watch that is seen is one that can be spoken on.
        defer { tell(.request(path: request.path, body: request.body)) }
        let isWatch = request.path.hasSuffix("/Watch")
        switch box.mutex.withLock({ isWatch ? $0.watch : $0.check }) {
        case .status(let status):
            let body = send([0, 0, 0, 0, 2, 8, UInt8(status.rawValue)], on: stream, ends: !isWatch)
            if isWatch { keep(stream, body) }
        case .grpc(let status):
            session.submitResponse(block(200, grpc: status), body: nil, on: stream)
        case .http(let status):
            session.submitResponse(block(status, grpc: nil), body: nil, on: stream)
        case .bytes(let bytes):
            _ = send(bytes, on: stream, ends: true)
        case .reset:
            session.reset(stream, .internalError)
        case .closedConnection:
            guard let channel = context?.channel else { return }
            // Not inside the session's callback.
            channel.eventLoop.execute { channel.close(promise: nil) }
        case .silence:
            break
        case .flapping:
            let flaps = box.mutex.withLock {
                $0.flaps += 1
                return $0.flaps
            }
            _ = send([0, 0, 0, 0, 2, 8, flaps % 3 == 0 ? 1 : 2], on: stream, ends: true)
        }
    }

    private func send(_ bytes: [UInt8], on stream: HTTP2.Stream, ends: Bool) -> BodyQueue {
        let body = BodyQueue()
        body.append(ByteBuffer(bytes: bytes))
        if ends {
            let trailers = HeaderBlock()
            trailers.append("grpc-status", literal: "0")
            body.finish(trailers: trailers)
        }
        session?.submitResponse(block(200, grpc: nil), body: body, on: stream)
        return body
    }

    private func keep(_ stream: HTTP2.Stream, _ body: BodyQueue) {
        guard let loop = context?.eventLoop else { return }
        let bound = NIOLoopBound((self, stream, body), eventLoop: loop)
        let say: @Sendable (ServingStatus) -> Void = { status in
            loop.execute {
                let (connection, stream, body) = bound.value
                body.append(ByteBuffer(bytes: [0, 0, 0, 0, 2, 8, UInt8(status.rawValue)]))
                connection.session?.resumeBody(stream)
                connection.flush()
            }
        }
        box.mutex.withLock { $0.watches.append(say) }
    }

    private func block(_ status: Int, grpc: Int?) -> HeaderBlock {
        let block = HeaderBlock()
        block.append(":status", "\(status)".utf8)
        if let grpc {
            block.append("content-type", literal: "application/grpc")
            block.append("grpc-status", "\(grpc)".utf8)
        }
        return block
    }

    func session(_ session: Session, didClose stream: HTTP2.Stream, code: ErrorCode) { requests[stream.id] = nil }
}
