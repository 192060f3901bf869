import NIOCore
import NIOPosix
import Policy

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The socket to a task: how it is made, and what its kernel side says.
enum TaskSocket {
    /// Connects the transport to the endpoint.
    /// - Throws: when the address is none.
    static func connect(
        _ transport: Transport, to address: EndpointAddress, settings: ClusterSettings, eventLoop: any EventLoop
    ) throws -> EventLoopFuture<any Channel> {
        if let world = eventLoop as? any SimulatedLoop {
            return world.connect(transport, to: address, settings: settings)
        }
        let address = try SocketAddress(ipAddress: address.host, port: address.port)
        let bound = NIOLoopBound(transport, eventLoop: eventLoop)
        var bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(.nanoseconds(settings.connectTimeout.nanoseconds))
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.maxMessagesPerRead, value: 4)
            .channelOption(.recvAllocator, value: ReadBuffers.allocator)
            .channelOption(.writeBufferWaterMark, value: ReadBuffers.writeWaterMark)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(bound.value)
                }
            }
        #if os(Linux)
        bootstrap = bootstrap.channelOption(
            ChannelOptions.Types.SocketOption(
                level: .tcp, name: NIOBSDSocket.Option(rawValue: CInt(TCP_USER_TIMEOUT))),
            value: Int(clamping: min(userTimeout(settings), Int64(CInt.max))))
        #endif
        return bootstrap.connect(to: address)
    }

    /// Milliseconds for which sent bytes may be without acknowledgement, or wait behind a closed window, until the
    /// kernel ends the connection. The backstop of the watch, and so later than all that the watch does: the kernel
    /// does not tell a task that is lost from one that lives and does not read, which PING is there to find.
    static func userTimeout(_ settings: ClusterSettings) -> Int64 {
        let keepalive =
            settings.keepaliveInterval.nanoseconds / 1_000_000 + settings.keepaliveTimeout.nanoseconds / 1_000_000
        return max(settings.darkTimeout.nanoseconds / 1_000_000, keepalive) + userTimeoutMargin
    }

    /// Milliseconds.
    private static let userTimeoutMargin: Int64 = 2_000

    /// What the kernel knows about the way of what was sent; nil where it cannot say. Answers at once on the channel's
    /// own loop.
    static func facts(of channel: (any Channel)?) -> KernelFacts? {
        if let channel, let world = channel.eventLoop as? any SimulatedLoop { return world.facts(of: channel) }
        #if os(Linux)
        guard let channel, let provider = channel as? any SocketOptionProvider else { return nil }
        var info: tcp_info?
        provider.getTCPInfo().assumeIsolated().whenSuccess { info = $0 }
        guard let info else { return nil }
        // What waits behind a window that the peer has closed is not sent, and so not outstanding: a peer that takes
        // nothing and acknowledges the probes of its window lives as far as this goes.
        return KernelFacts(
            unacknowledged: Int(info.tcpi_unacked),
            sinceAcknowledgement: Int64(info.tcpi_last_ack_recv) * 1_000_000,
            isBlocked: !channel.isWritable)
        #else
        return nil
        #endif
    }
}
