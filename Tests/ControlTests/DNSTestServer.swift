import DNS
import NIOCore
import NIOPosix
import Synchronization

@testable import Control

/// A name server on 127.0.0.1 whose answers are a closure; UDP and TCP on the same port.
final class DNSTestServer: Sendable {
    enum Transport: Sendable { case udp, tcp }
    typealias Answer = @Sendable (DNSMessage, Transport) -> DNSMessage?

    private let udp: any Channel
    private let tcp: any Channel
    private let log = QuestionLog()

    let port: Int

    /// Questions so far, in order.
    var questions: [DNSQuestion] { log.questions.withLock { $0 } }

    init(answer: @escaping Answer) async throws {
        let log = log
        let datagrams = DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(DatagramAnswerer(answer: answer, log: log))
                }
            }
        let streams = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(StreamAnswerer(answer: answer, log: log))
                }
            }
        (udp, tcp) = try await Self.bind(datagrams, streams)
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

    func close() async throws {
        try await udp.close()
        try await tcp.close()
    }
}

private final class QuestionLog: Sendable {
    let questions = Mutex<[DNSQuestion]>([])

    func note(_ message: DNSMessage) {
        questions.withLock { $0 += message.questions }
    }
}

private final class DatagramAnswerer: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    private let answer: DNSTestServer.Answer
    private let log: QuestionLog

    init(answer: @escaping DNSTestServer.Answer, log: QuestionLog) {
        self.answer = answer
        self.log = log
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let request = unwrapInboundIn(data)
        guard let message = try? DNSMessage(parsing: Array(request.data.readableBytesView)) else { return }
        log.note(message)
        guard let bytes = answer(message, .udp)?.encoded() else { return }
        let reply = AddressedEnvelope(remoteAddress: request.remoteAddress, data: ByteBuffer(bytes: bytes))
        context.writeAndFlush(wrapOutboundOut(reply), promise: nil)
    }
}

private final class StreamAnswerer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let answer: DNSTestServer.Answer
    private let log: QuestionLog
    private var received = ByteBuffer()

    init(answer: @escaping DNSTestServer.Answer, log: QuestionLog) {
        self.answer = answer
        self.log = log
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received.writeImmutableBuffer(unwrapInboundIn(data))
        while let query = received.readLengthPrefixedSlice(as: UInt16.self) {
            guard let message = try? DNSMessage(parsing: Array(query.readableBytesView)) else { continue }
            log.note(message)
            guard let bytes = answer(message, .tcp)?.encoded() else { continue }
            var reply = ByteBuffer()
            reply.writeInteger(UInt16(bytes.count))
            reply.writeBytes(bytes)
            context.writeAndFlush(wrapOutboundOut(reply), promise: nil)
        }
    }
}
