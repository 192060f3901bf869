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
        // The backstop of the watch: no acknowledgement for this long, and the kernel ends the connection. It counts a
        // closed window as none, so that it must be as patient as the PINGs are: a task that takes nothing for a while
        // is slow, not gone.
        let patience = max(settings.darkTimeout, settings.keepaliveInterval + settings.keepaliveTimeout)
        let timeout = patience.nanoseconds / 1_000_000 + userTimeoutMargin
        bootstrap = bootstrap.channelOption(
            ChannelOptions.Types.SocketOption(
                level: .tcp, name: NIOBSDSocket.Option(rawValue: CInt(TCP_USER_TIMEOUT))),
            value: Int(clamping: min(timeout, Int64(CInt.max))))
        #endif
        return bootstrap.connect(to: address)
    }

    /// Milliseconds.
    private static let userTimeoutMargin: Int64 = 2_000

    /// What the kernel knows about the way of what was sent; nil where it cannot say. Answers at once on the channel's
    /// own loop.
    static func facts(of channel: (any Channel)?) -> KernelFacts? {
        #if os(Linux)
        guard let channel, let provider = channel as? any SocketOptionProvider else { return nil }
        var info: tcp_info?
        provider.getTCPInfo().assumeIsolated().whenSuccess { info = $0 }
        guard let info else { return nil }
        // What waits behind a window that the peer has closed is not sent, and so not outstanding: a peer that takes
        // nothing lives as far as this goes.
        return KernelFacts(
            unacknowledged: Int(info.tcpi_unacked),
            sinceAcknowledgement: Int64(info.tcpi_last_ack_recv) * 1_000_000,
            isBlocked: !channel.isWritable)
        #else
        return nil
        #endif
    }
}
