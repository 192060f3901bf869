import NIOCore
import NIOPosix
import Policy

/// An address where connects get no answer at all: a listening socket that accepts nobody and whose queue is full, so
/// that the kernel drops what knocks.
struct BlackHole: Sendable {
    let endpoint: Endpoint
    private let channels: [any Channel]

    struct NotDark: Error {}

    static func open() async throws -> BlackHole {
        let group = MultiThreadedEventLoopGroup.singleton
        let listener = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1)
            .serverChannelOption(.autoRead, value: false)
            .bind(host: "127.0.0.1", port: 0).get()
        var channels: [any Channel] = [listener]
        let port = listener.localAddress?.port ?? 0
        let client = ClientBootstrap(group: group).connectTimeout(.milliseconds(300))
        for _ in 0..<16 {
            do {
                channels.append(try await client.connect(host: "127.0.0.1", port: port).get())
            } catch {
                return BlackHole(
                    endpoint: Endpoint(address: EndpointAddress(host: "127.0.0.1", port: port)), channels: channels)
            }
        }
        throw NotDark()
    }

    func close() async {
        for channel in channels { try? await channel.close() }
    }
}
