import DataPlane
import NIOCore

/// A steady load of gRPC calls, in an open loop: calls begin when they are due, however long others take, so a mesh
/// that stalls shows in the latencies.
final class LoadGenerator: Sendable {
    private let loop: any EventLoop
    private let pacer: NIOLoopBound<LoadPacer>

    private static let finishPoll: Duration = .milliseconds(20)

    /// - Parameters:
    ///   - target: the mesh's listener.
    ///   - authority: `:authority` of each call.
    ///   - rps: unary calls per second.
    ///   - loop: runs all of it.
    init(target: SocketAddress, authority: String, rps: Int, loop: any EventLoop) async throws {
        self.loop = loop
        pacer = try await loop.submit {
            NIOLoopBound(
                LoadPacer(target: target, authority: authority, rps: rps, turn: Turn(eventLoop: loop)), eventLoop: loop)
        }.get()
    }

    /// Connects and begins.
    func start() async throws {
        let pacer = pacer
        try await loop.flatSubmit { pacer.value.connect() }.get()
        try await loop.submit { pacer.value.begin() }.get()
    }

    /// What happened since the last time.
    func takeSample() async throws -> LoadSample {
        let pacer = pacer
        return try await loop.submit { pacer.value.takeSample() }.get()
    }

    /// Begins no more calls, waits for those that are open, and closes the connections.
    func finish(patience: Duration) async throws {
        let pacer = pacer
        try await loop.submit { pacer.value.stop() }.get()
        let clock = ContinuousClock()
        let deadline = clock.now + patience
        while clock.now < deadline, !Task.isCancelled {
            if try await loop.submit({ pacer.value.openCalls }).get() == 0 { break }
            try? await clock.sleep(for: Self.finishPoll)
        }
        try await loop.submit { pacer.value.disconnect() }.get()
    }
}
