import Control
import DNS
import NIOCore
import NIOPosix
import Synchronization

/// The demo's name server: answers A questions for one name on loopback, from a set of members that may change at any
/// time.
final class DNSServer: Sendable {
    private let zone: DNSZone
    private let channel: any Channel

    /// Binds a free UDP port of 127.0.0.1.
    /// - Parameters:
    ///   - name: the one name there is; every other one is NXDOMAIN. Must be a host name.
    ///   - ttl: seconds, on every record.
    ///   - group: whose loop serves it.
    init(name: String, ttl: UInt32, group: any EventLoopGroup) async throws {
        guard let name = DNSName(name) else { throw InvalidName(name: name) }
        let zone = DNSZone(name: name, ttl: ttl)
        self.zone = zone
        self.channel = try await DatagramBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(DNSServerHandler(zone: zone))
                }
            }
            .bind(host: "127.0.0.1", port: 0)
            .get()
    }

    /// Where it listens.
    var port: Int { channel.localAddress?.port ?? 0 }

    /// The addresses of the next answers. Empty: the name exists without an address.
    func setMembers(_ members: [IPAddress]) {
        zone.members.withLock { $0 = members }
    }

    func close() async throws {
        try await channel.close()
    }

    struct InvalidName: Error, CustomStringConvertible {
        let name: String

        var description: String { "'\(name)' is not a host name" }
    }
}

/// What the server knows, and the answer to a question.
final class DNSZone: Sendable {
    let members = Mutex<[IPAddress]>([])
    private let name: DNSName
    private let ttl: UInt32

    init(name: DNSName, ttl: UInt32) {
        self.name = name
        self.ttl = ttl
    }

    /// - Returns: nil for what deserves no answer.
    func answer(_ bytes: [UInt8]) -> [UInt8]? {
        guard let query = try? DNSMessage(parsing: bytes), !query.isResponse else { return nil }
        guard query.opcode == 0, let question = query.questions.first, query.questions.count == 1 else {
            return DNSMessage(answering: query, responseCode: .notImplemented).encoded()
        }
        guard question.name == name else {
            return DNSMessage(answering: query, responseCode: .nameError).encoded()
        }
        let members = members.withLock { $0 }
        let records = members.compactMap { address -> DNSRecord? in
            guard case .v4 = address, question.type == .a else { return nil }
            return DNSRecord(name: name, type: .a, ttl: ttl, data: .address(address))
        }
        return DNSMessage(answering: query, answers: records).encoded()
    }
}

private final class DNSServerHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    private let zone: DNSZone

    init(zone: DNSZone) {
        self.zone = zone
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let request = unwrapInboundIn(data)
        guard let answer = zone.answer(Array(request.data.readableBytesView)) else { return }
        let envelope = AddressedEnvelope(
            remoteAddress: request.remoteAddress, data: context.channel.allocator.buffer(bytes: answer))
        context.writeAndFlush(wrapOutboundOut(envelope), promise: nil)
    }

    /// A datagram that could not be sent or read (the asker is gone) concerns nobody else.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}
