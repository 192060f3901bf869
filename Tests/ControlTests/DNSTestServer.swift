import DNS
import NIOCore
import NIOPosix
import Synchronization

@testable import Control

/// A name server on 127.0.0.1 whose answers are a closure; UDP and TCP on the same port.
final class DNSTestServer: Sendable {
    enum Transport: Sendable { case udp, tcp }

    /// What the server sends back, one after another.
    enum Reply: Sendable {
        case message(DNSMessage)
        case bytes([UInt8])
        /// A datagram from another port than the one that was asked.
        case fromElsewhere(DNSMessage)
        /// TCP only: the announced length, fewer bytes, then the end of the connection.
        case brokenOff(announced: UInt16, [UInt8])
    }

    typealias Answer = @Sendable (DNSMessage, Transport) -> [Reply]

    private let udp: any Channel
    private let tcp: any Channel
    private let elsewhere: any Channel
    private let log = QuestionLog()

    let port: Int

    /// Questions so far, in order.
    var questions: [DNSQuestion] { log.questions }

    /// Waits until that many questions have come: a client that is done may have asked more than was read yet.
    func questions(atLeast count: Int) async -> [DNSQuestion] {
        await log.wait(for: count)
        return log.questions
    }

    convenience init(answer: @escaping @Sendable (DNSMessage, Transport) -> DNSMessage?) async throws {
        try await self.init { query, transport in answer(query, transport).map { [.message($0)] } ?? [] }
    }

    init(replies: @escaping Answer) async throws {
        let log = log
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let elsewhere = try await DatagramBootstrap(group: loop).bind(host: "127.0.0.1", port: 0).get()
        let datagrams = DatagramBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        DatagramAnswerer(replies: replies, log: log, elsewhere: elsewhere))
                }
            }
        let streams = ServerBootstrap(group: loop)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(StreamAnswerer(replies: replies, log: log))
                }
            }
        (udp, tcp) = try await Self.bind(datagrams, streams)
        self.elsewhere = elsewhere
        port = udp.localAddress?.port ?? 0
    }

    /// The same port for both: the kernel picks one that is free for UDP, which may be taken for TCP.
    private static func bind(
        _ datagrams: DatagramBootstrap, _ streams: ServerBootstrap
    ) async throws -> (udp: any Channel, tcp: any Channel) {
        var attemptsLeft = 20
        while true {
            let udp = try await datagrams.bind(host: "127.0.0.1", port: 0).get()
            do {
                return (udp, try await streams.bind(host: "127.0.0.1", port: udp.localAddress?.port ?? 0).get())
            } catch {
                try await udp.close()
                attemptsLeft -= 1
                if attemptsLeft == 0 { throw error }
            }
        }
    }

    /// From here on nobody listens on TCP.
    func closeTCP() async throws {
        try await tcp.close()
    }

    func close() async throws {
        for channel in [udp, tcp, elsewhere] where channel.isActive { try await channel.close() }
    }
}

private final class QuestionLog: Sendable {
    private struct State {
        var questions: [DNSQuestion] = []
        var waiting: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }

    private let state = Mutex(State())

    var questions: [DNSQuestion] { state.withLock { $0.questions } }

    func note(_ message: DNSMessage) {
        let due = state.withLock { state in
            state.questions += message.questions
            let count = state.questions.count
            defer { state.waiting.removeAll { $0.count <= count } }
            return state.waiting.filter { $0.count <= count }
        }
        for waiter in due { waiter.continuation.resume() }
    }

    func wait(for count: Int) async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.questions.count < count { state.waiting.append((count, continuation)) }
                return state.questions.count >= count
            }
            if isThere { continuation.resume() }
        }
    }
}

private final class DatagramAnswerer: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    private let replies: DNSTestServer.Answer
    private let log: QuestionLog
    private let elsewhere: any Channel

    init(replies: @escaping DNSTestServer.Answer, log: QuestionLog, elsewhere: any Channel) {
        self.replies = replies
        self.log = log
        self.elsewhere = elsewhere
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let request = unwrapInboundIn(data)
        guard let message = try? DNSMessage(parsing: Array(request.data.readableBytesView)) else { return }
        log.note(message)
        for reply in replies(message, .udp) {
            // Both channels are on this loop, so that the datagrams leave in this order.
            switch reply {
            case .message(let message):
                send(message.encoded() ?? [], to: request.remoteAddress, over: context.channel)
            case .bytes(let bytes):
                send(bytes, to: request.remoteAddress, over: context.channel)
            case .fromElsewhere(let message):
                send(message.encoded() ?? [], to: request.remoteAddress, over: elsewhere)
            case .brokenOff:
                break
            }
        }
    }

    private func send(_ bytes: [UInt8], to address: SocketAddress, over channel: any Channel) {
        channel.writeAndFlush(AddressedEnvelope(remoteAddress: address, data: ByteBuffer(bytes: bytes)), promise: nil)
    }
}

private final class StreamAnswerer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let replies: DNSTestServer.Answer
    private let log: QuestionLog
    private var received = ByteBuffer()

    init(replies: @escaping DNSTestServer.Answer, log: QuestionLog) {
        self.replies = replies
        self.log = log
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received.writeImmutableBuffer(unwrapInboundIn(data))
        while let query = received.readLengthPrefixedSlice(as: UInt16.self) {
            guard let message = try? DNSMessage(parsing: Array(query.readableBytesView)) else { continue }
            log.note(message)
            for reply in replies(message, .tcp) {
                switch reply {
                case .message(let message), .fromElsewhere(let message):
                    let bytes = message.encoded() ?? []
                    send(bytes, announced: UInt16(bytes.count), context: context)
                case .bytes(let bytes):
                    send(bytes, announced: UInt16(bytes.count), context: context)
                case .brokenOff(let announced, let bytes):
                    send(bytes, announced: announced, context: context)
                    context.close(promise: nil)
                }
            }
        }
    }

    private func send(_ bytes: [UInt8], announced: UInt16, context: ChannelHandlerContext) {
        var buffer = ByteBuffer(integer: announced)
        buffer.writeBytes(bytes)
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
    }
}
