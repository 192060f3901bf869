import NIOCore
import NIOPosix
package import Policy

/// An address where connects get no answer at all.
package struct BlackHole: Sendable {
    package let endpoint: Endpoint
    private let channel: any Channel

    package static func open() async throws -> BlackHole {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        try await PacketFilter.set(true, on: channel)
        return BlackHole(
            endpoint: Endpoint(address: EndpointAddress(host: "127.0.0.1", port: channel.localAddress?.port ?? 0)),
            channel: channel)
    }

    package func close() async { try? await channel.close() }
}
