import HTTP2
import Logging
import NIOCore
import NIOPosix
import Policy
import Synchronization
import Telemetry
import Testing

@testable import DataPlane

/// A data plane on a loopback port in front of scripted tasks.
struct RelayBench: Sendable {
    let dataPlane: DataPlane
    let registry: MetricsRegistry
    let port: Int
    private let settings: ClusterSettings
    private let plan: RoutePlan
    private let state: ClusterState
    private let version = Counter()
    private let unreachable: Reports

    private final class Counter: Sendable {
        let value = Atomic<Int>(0)
    }

    private final class Reports: Sendable {
        let mutex = Mutex<[String]>([])
    }

    static let clusterName = "echo"

    /// Runs `body` with a data plane, then sees to it that nothing is left: no stream, no byte, no connection.
    static func run(
        workers: Int = 1, endpoints: [Endpoint], cluster: ClusterSettings = ClusterSettings(),
        route: RouteSettings = RouteSettings(), listener: (inout ListenerSettings) -> Void = { _ in },
        _ body: (RelayBench) async throws -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: workers)
        let registry = MetricsRegistry()
        let dataPlane = try await DataPlane(
            group: group, registry: registry, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        var settings = ListenerSettings(name: "mesh", address: .ip(host: "127.0.0.1", port: 0))
        listener(&settings)
        let bound = try await dataPlane.listen([settings])
        guard case .ip(_, let port)? = bound.first?.address else { return }
        let bench = RelayBench(dataPlane: dataPlane, registry: registry, port: port, settings: cluster, route: route)
        try await bench.publish(endpoints)
        do {
            try await body(bench)
            try await bench.expectQuiet(endpoints)
        } catch {
            await bench.end(group)
            throw error
        }
        await bench.end(group)
    }

    private init(
        dataPlane: DataPlane, registry: MetricsRegistry, port: Int, settings: ClusterSettings, route: RouteSettings
    ) {
        self.dataPlane = dataPlane
        self.registry = registry
        self.port = port
        self.settings = settings
        plan = route == RouteSettings() ? .plain : RoutePlan(route)
        let unreachable = Reports()
        self.unreachable = unreachable
        state = ClusterState(
            id: 1,
            reportUnreachable: { endpoint, reason in
                unreachable.mutex.withLock { $0.append("\(endpoint.name) \(reason)") }
            })
    }

    /// What discovery was told of endpoints that cannot be reached.
    var reports: [String] { unreachable.mutex.withLock { $0 } }

    private func end(_ group: MultiThreadedEventLoopGroup) async {
        await dataPlane.stopListening()
        dataPlane.endNow()
        try? await group.shutdownGracefully()
        // Connections that the shutdown closes still speak to their workers.
        withExtendedLifetime(dataPlane) {}
    }

    /// Makes these the cluster's endpoints, on every worker.
    func publish(
        _ endpoints: [Endpoint], traits: [EndpointTraits]? = nil, resolution: Cluster.Resolution = .resolved,
        cluster settings: ClusterSettings? = nil
    ) async throws {
        let version = version.value.add(1, ordering: .relaxed).newValue
        let cluster = Cluster(
            name: Self.clusterName, settings: settings ?? self.settings, endpoints: endpoints, traits: traits,
            resolution: resolution, state: state)
        try await dataPlane.publishAndWait(
            Snapshot(
                version: version,
                routes: RouteTable([
                    Route(name: "echo", path: .prefix(Array("/echo.".utf8)), clusterIndex: 0, plan: plan)
                ]),
                clusters: [cluster]))
    }

    func connect(settings: SessionSettings = SessionSettings()) async throws -> Caller {
        try await Caller.connect(to: port, settings: settings)
    }

    /// Of a caller that takes no byte of a body.
    static var deaf: SessionSettings {
        var settings = SessionSettings()
        settings.streamWindowBytes = 0
        return settings
    }

    func connectDeaf() async throws -> Caller {
        try await connect(settings: Self.deaf)
    }

    /// Connects with a stream among the first bytes.
    func connect(
        opening body: [UInt8], finish: Bool = false, settings: SessionSettings = SessionSettings()
    ) async throws -> (Caller, Call) {
        try await Caller.connect(to: port, opening: body, finish: finish, settings: settings)
    }

    /// The cluster's counter, over all workers.
    func count(_ metric: ClusterMetric) -> Int {
        registry.clusterTotals().first { $0.cluster == Self.clusterName }?.cells[metric.rawValue] ?? 0
    }

    func count(localReply kind: Failure.Kind) -> Int {
        registry.clusterTotals().first?.cells[ClusterMetric.cell(localReply: kind)] ?? 0
    }

    func count(grpcStatus code: Int) -> Int {
        registry.clusterTotals().first?.cells[ClusterMetric.cell(grpcStatus: code)] ?? 0
    }

    func count(httpStatus status: Int) -> Int {
        registry.clusterTotals().first?.cells[ClusterMetric.cell(httpStatus: status)] ?? 0
    }

    func count(refusedAt limit: CircuitLimit) -> Int {
        registry.clusterTotals().first?.cells[ClusterMetric.cell(refusedAt: limit)] ?? 0
    }

    /// Every slot that was leased is returned, and every byte given back.
    func expectQuiet(_ endpoints: [Endpoint]) async throws {
        func left() -> [String: Int] {
            var left = [
                "active streams": registry.total(.downstreamStreamsActive),
                "buffered bytes": registry.total(.bufferedBytes),
                "bytes held for a replay": registry.total(.retainedBytes),
                "upstream streams": count(.streamsActive),
                "pending streams": count(.pendingStreams),
            ]
            for endpoint in endpoints { left[endpoint.name] = endpoint.activeStreams.load(ordering: .relaxed) }
            return left.filter { $0.value != 0 }
        }
        let isQuiet = try await eventually { left().isEmpty }
        #expect(isQuiet, "left over: \(left())")
        #expect(registry.total(.invariantViolations) == 0)
    }
}

/// Waits for something that another thread brings about and tells nobody of.
/// - Returns: false when it has not come true in five seconds.
func eventually(_ condition: () throws -> Bool) async throws -> Bool {
    let end = ContinuousClock.now + .seconds(5)
    while ContinuousClock.now < end {
        if try condition() { return true }
        try await Task.sleep(for: .milliseconds(1))
    }
    return try condition()
}
