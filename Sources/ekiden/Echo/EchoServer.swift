import DataPlane
import HTTP2
import NIOCore
import NIOPosix
import Policy
import Synchronization

/// One echo task: a gRPC server on Ekiden's own HTTP/2 layer that says who it is and what it saw.
///
/// One event loop serves it, so its connections share a set without a lock.
final class EchoServer: Sendable {
    private let loop: any EventLoop
    private let channel: any Channel
    private let connections: NIOLoopBound<Connections>
    /// What the task is bound to; tells the port where 0 was asked for.
    let address: ListenAddress

    /// The open connections of the task. Confined to its loop.
    private final class Connections {
        var open: [ObjectIdentifier: EchoConnection] = [:]
        var count = 0
        let turn: Turn

        init(turn: Turn) {
            self.turn = turn
        }
    }

    /// Binds and serves.
    init(listen: ListenAddress, behaviour: EchoBehaviour, loop: any EventLoop) async throws {
        self.loop = loop
        let connections = try await loop.submit {
            NIOLoopBound(Connections(turn: Turn(eventLoop: loop)), eventLoop: loop)
        }.get()
        self.connections = connections
        let bootstrap = ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.recvAllocator, value: ReadBuffers.allocator)
            .childChannelOption(.writeBufferWaterMark, value: ReadBuffers.writeWaterMark)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let set = connections.value
                    set.count += 1
                    let connection = EchoConnection(
                        behaviour: behaviour, number: set.count, peer: Self.describe(channel.remoteAddress),
                        turn: set.turn
                    ) { set.open[ObjectIdentifier($0)] = nil }
                    set.open[ObjectIdentifier(connection)] = connection
                    try channel.pipeline.syncOperations.addHandler(connection.makeTransport())
                }
            }
        switch listen {
        case .ip(let host, let port):
            channel = try await bootstrap.bind(to: SocketAddress(ipAddress: host, port: port)).get()
            address = .ip(host: host, port: channel.localAddress?.port ?? port)
        case .unix(let path):
            channel = try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
            address = listen
        }
    }

    private static func describe(_ address: SocketAddress?) -> String {
        guard let host = address?.ipAddress, let port = address?.port else { return "unix" }
        return EndpointAddress(host: host, port: port).description
    }

    /// Leaves as a task of a rolling deploy does: no new connections, GOAWAY, and every call is finished.
    func stopGracefully(timeout: Duration) async {
        try? await channel.close()
        let connections = connections
        loop.execute { for connection in connections.value.open.values { connection.drain() } }
        let clock = ContinuousClock()
        let deadline = clock.now + timeout
        while clock.now < deadline {
            let open = try? await loop.submit { connections.value.open.count }.get()
            if open ?? 0 == 0 { return }
            try? await clock.sleep(for: .milliseconds(20))
        }
        await kill()
    }

    /// Goes as a task does whose host fails: everything closes at once.
    func kill() async {
        try? await channel.close()
        let connections = connections
        try? await loop.submit {
            for connection in Array(connections.value.open.values) { connection.closeNow() }
        }.get()
    }
}
