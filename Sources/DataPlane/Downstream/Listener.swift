import Logging
import NIOCore
import NIOPosix
package import Policy
import Synchronization
import Telemetry

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// One listener: a `SO_REUSEPORT` socket per worker, so that the kernel spreads connections and no worker hands any
/// to another. A Unix socket has one acceptor that hands connections to the workers in turn.
final class Listener: Sendable {
    let settings: ListenerSettings
    /// What it is bound to; tells the port where 0 was asked for.
    let boundAddress: ListenAddress
    private let channels: [any Channel]
    private let connections: ConnectionCount

    private init(
        settings: ListenerSettings, boundAddress: ListenAddress, channels: [any Channel], connections: ConnectionCount
    ) {
        self.settings = settings
        self.boundAddress = boundAddress
        self.channels = channels
        self.connections = connections
    }

    /// Descriptors that it has open beside those of its connections.
    var socketCount: Int { channels.count }

    /// Open connections of one listener, over all workers.
    private final class ConnectionCount: Sendable {
        let open = Atomic<Int>(0)
    }

    /// Binds and starts to accept.
    /// - Parameters:
    ///   - workers: all of them.
    ///   - group: the workers' loops.
    ///   - sharesAddress: whether a listener of this process is on the address already and is about to leave it.
    /// - Throws: ``ListenError`` when an address can't be bound; then nothing is.
    static func bind(
        _ settings: ListenerSettings, workers: [NIOLoopBound<Worker>], group: MultiThreadedEventLoopGroup,
        sharesAddress: Bool
    ) async throws -> Listener {
        let connections = ConnectionCount()
        do {
            switch settings.address {
            case .ip(let host, let port):
                var channels: [any Channel] = []
                var bound = port
                if port != 0, !sharesAddress { try PortCheck.expectFree(host: host, port: port) }
                do {
                    for worker in workers {
                        let address = try SocketAddress(ipAddress: host, port: bound)
                        let channel = try await bootstrap(settings, worker, connections).bind(to: address).get()
                        // Port 0 is chosen by the first socket; the others join it there.
                        bound = channel.localAddress?.port ?? bound
                        channels.append(channel)
                    }
                } catch {
                    for channel in channels { try? await channel.close() }
                    throw error
                }
                return Listener(
                    settings: settings, boundAddress: .ip(host: host, port: bound), channels: channels,
                    connections: connections)
            case .unix(let path):
                let channel = try await unixBootstrap(settings, workers, group, connections)
                    .bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
                return Listener(
                    settings: settings, boundAddress: settings.address, channels: [channel], connections: connections)
            }
        } catch {
            throw ListenError(name: settings.name, address: settings.address, cause: describe(error))
        }
    }

    private static func describe(_ error: any Error) -> String {
        (error as? IOError).map { ListenError.text($0.errnoCode) } ?? "\(error)"
    }

    private static func bootstrap(
        _ settings: ListenerSettings, _ worker: NIOLoopBound<Worker>, _ connections: ConnectionCount
    ) -> ServerBootstrap {
        let loop = worker.eventLoop
        return common(ServerBootstrap(group: loop, childGroup: loop))
            .serverChannelOption(.socketOption(NIOBSDSocket.Option(rawValue: CInt(SO_REUSEPORT))), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try accept(channel, settings, worker.value, connections)
                }
            }
    }

    private static func unixBootstrap(
        _ settings: ListenerSettings, _ workers: [NIOLoopBound<Worker>], _ group: MultiThreadedEventLoopGroup,
        _ connections: ConnectionCount
    ) -> ServerBootstrap {
        common(ServerBootstrap(group: workers[0].eventLoop, childGroup: group))
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let worker = workers.first(where: { $0.eventLoop === channel.eventLoop }) else { return }
                    try accept(channel, settings, worker.value, connections)
                }
            }
    }

    private static func common(_ bootstrap: ServerBootstrap) -> ServerBootstrap {
        bootstrap
            .serverChannelOption(.backlog, value: 4_096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.maxMessagesPerRead, value: 4)
            .childChannelOption(.recvAllocator, value: ReadBuffers.allocator)
            .childChannelOption(.writeBufferWaterMark, value: ReadBuffers.writeWaterMark)
    }

    /// Sets up an accepted connection. Runs on the worker's loop.
    private static func accept(
        _ channel: any Channel, _ settings: ListenerSettings, _ worker: Worker, _ connections: ConnectionCount
    ) throws {
        let open = connections.open.add(1, ordering: .relaxed).newValue
        let limit = settings.limits.maxConnections
        let isOverloaded = worker.overloadGuard.connectionRefusal != nil
        if isOverloaded || limit > 0 && open > limit {
            connections.open.subtract(1, ordering: .relaxed)
            worker.count(.downstreamConnectionsRefused)
            if isOverloaded { worker.count(.overloadRefusedDescriptors) }
            channel.close(promise: nil)
            return
        }
        let connection = DownstreamConnection(
            worker: worker, settings: settings, peerAddress: channel.remoteAddress?.ipAddress ?? "",
            onClose: { connections.open.subtract(1, ordering: .relaxed) })
        worker.add(connection)
        let transport = connection.makeTransport()
        let gate = ProtocolGate { refusal in
            switch refusal {
            case .http1: worker.count(.notHTTP2Plain)
            case .tls: worker.count(.notHTTP2TLS)
            case .other: worker.count(.notHTTP2Other)
            }
        }
        try channel.pipeline.syncOperations.addHandlers([gate, transport])
    }

    /// Stops accepting; connections that were accepted go on.
    func close() async {
        for channel in channels { try? await channel.close() }
    }
}

/// A listener that can't be opened.
package struct ListenError: Error, CustomStringConvertible {
    package let name: String
    package let address: ListenAddress
    package let cause: String

    package var description: String { "listener '\(name)' cannot listen on \(address): \(cause)" }

    static func text(_ code: CInt) -> String {
        switch code {
        case EADDRINUSE: "the address is in use by another process"
        case EADDRNOTAVAIL: "this host has no such address"
        case EACCES: "not permitted (ports below 1024 need the capability CAP_NET_BIND_SERVICE)"
        default: ConnectErrors.text(code)
        }
    }
}
