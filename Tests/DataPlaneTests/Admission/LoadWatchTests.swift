import Logging
import NIOCore
import NIOEmbedded
import NIOPosix
import Policy
import Telemetry
import Testing

@testable import DataPlane

@Suite("Watching the load")
struct LoadWatchTests {
    private static let millisecond: Int64 = 1_000_000

    private let loop = EmbeddedEventLoop()
    private let registry = MetricsRegistry()

    private func worker(_ index: Int, _ overloadGuard: OverloadGuard) -> Worker {
        Worker(
            eventLoop: loop, registry: registry, bufferBudget: 1_000,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }), index: index, workerCount: 2,
            overloadGuard: overloadGuard)
    }

    private func overloadGuard(_ settings: OverloadSettings = OverloadSettings()) -> OverloadGuard {
        OverloadGuard(settings, workers: 2, bufferLimit: 1_000, descriptorLimit: 100, descriptorsInUse: 0)
    }

    /// Has the watch look as often as its timer would, that much late each time.
    private func look(_ watch: LoadWatch, times: Int, late: Int64, now: inout Int64) {
        for _ in 0..<times {
            now += (100 + late) * Self.millisecond
            watch.look(now: now)
        }
    }

    @Test("a late loop makes its worker refuse, and no other; all see the highest lag")
    func lag() {
        let overloadGuard = overloadGuard()
        let workers = (0..<2).map { worker($0, overloadGuard) }
        let watches = workers.map { LoadWatch(worker: $0) }
        var now = workers[0].turn.now
        for watch in watches { watch.look(now: now) }
        look(watches[0], times: 30, late: 0, now: &now)
        #expect(workers[0].overload == nil)
        // Stopped for three seconds.
        look(watches[0], times: 1, late: 3_000, now: &now)
        look(watches[0], times: 30, late: 1, now: &now)
        #expect(workers[0].overload == nil)

        var other = now
        look(watches[1], times: 10, late: 400, now: &other)
        #expect(workers[1].overload == .loopLag(400 * Self.millisecond))
        #expect(workers[0].overload == nil)
        look(watches[0], times: 1, late: 1, now: &now)
        #expect(registry.total(.eventLoopLag) == Int(400 * Self.millisecond))
        look(watches[1], times: 60, late: 0, now: &other)
        look(watches[0], times: 1, late: 1, now: &now)
        #expect(workers[1].overload == nil)
        #expect(registry.total(.eventLoopLag) <= Int(Self.millisecond))
    }

    @Test("exchanges and bytes in hand are those of all workers")
    func sums() {
        var settings = OverloadSettings()
        settings.maxStreams = 10
        let overloadGuard = overloadGuard(settings)
        let workers = (0..<2).map { worker($0, overloadGuard) }
        let watches = workers.map { LoadWatch(worker: $0) }
        let now = workers[0].turn.now
        workers[0].count(.downstreamStreamsActive, 9)
        workers[1].count(.downstreamStreamsActive, 1)
        watches[0].look(now: now)
        #expect(workers[0].overload == nil)
        watches[1].look(now: now)
        #expect(workers[1].overload == .streams(10))
        workers[1].count(.downstreamStreamsActive, -1)
        workers[1].noteBuffered(951)
        watches[1].look(now: now)
        #expect(workers[1].overload == .buffers(951, limit: 1_000))
        workers[1].noteBuffered(-951)
        watches[1].look(now: now)
        #expect(workers[1].overload == nil)
    }

    @Test("connections are counted against the descriptors")
    func connections() {
        let overloadGuard = overloadGuard()
        let worker = worker(0, overloadGuard)
        let connections = (0..<96).map { _ in
            DownstreamConnection(
                worker: worker, settings: ListenerSettings(name: "mesh", address: .ip(host: "127.0.0.1", port: 0)),
                peerAddress: "", onClose: {})
        }
        for connection in connections.dropLast() { worker.add(connection) }
        #expect(overloadGuard.connectionRefusal == nil)
        worker.add(connections[95])
        #expect(overloadGuard.connectionRefusal == .descriptors(96, limit: 100))
        worker.remove(connections[0])
        worker.remove(connections[0])
        #expect(overloadGuard.connectionRefusal == nil)
    }

    @Test("the process's own descriptors are found")
    func descriptors() {
        #expect(Descriptors.countOpen() >= 3)
        #expect(Descriptors.countOpen() < Descriptors.limit)
    }

    @Test("without descriptors to spare a caller's connection is closed at once, and counted")
    func refusedConnection() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let dataPlane = try await DataPlane(
            group: group, registry: registry, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            descriptorLimit: 1)
        let bound = try await dataPlane.listen([
            ListenerSettings(name: "mesh", address: .ip(host: "127.0.0.1", port: 0))
        ])
        guard case .ip(_, let port)? = bound.first?.address else { return }
        let caller = try await Caller.connect(to: port)
        try await caller.channel.closeFuture.get()
        let isCounted = try await eventually { registry.total(.overloadRefusedDescriptors) == 1 }
        #expect(isCounted)
        #expect(registry.total(.downstreamConnectionsRefused) == 1)
        #expect(registry.total(.downstreamConnectionsActive) == 0)
        await dataPlane.stopListening()
        try await group.shutdownGracefully()
        withExtendedLifetime(dataPlane) {}
    }
}
