import Logging
import NIOCore
import Policy
import Synchronization
import Telemetry

@testable import DataPlane

/// The data plane of one run: a real worker with real connections, exchanges and pools, on the simulated loop.
final class SimulatedProxy {
    let world: World
    let registry = MetricsRegistry()
    let worker: Worker
    private let settings: ListenerSettings
    private(set) var connections: [DownstreamConnection] = []
    private var version = 0
    private let busy = ClusterState(id: 1)
    private let bystander = ClusterState(id: 2)

    static let names = ["busy", "bystander"]

    init(world: World, listener: ListenerSettings, bufferBudget: Int, seed: UInt64) {
        self.world = world
        settings = listener
        worker = Worker(
            eventLoop: world.loop, registry: registry, bufferBudget: bufferBudget,
            logger: Logger(label: "simulation", factory: { _ in SwiftLogNoOpLogHandler() }))
        worker.random = SplitMix64(seed: seed)
        world.network.accept = { [unowned self] in accept($0) }
    }

    /// As listeners set up what they accept.
    private func accept(_ socket: SimulatedSocket) {
        var isOpen = true
        let box = Box()
        let connection = DownstreamConnection(
            worker: worker, settings: settings, peerAddress: "10.1.0.1",
            onClose: { [unowned self] in
                guard isOpen else { return }
                isOpen = false
                connections.removeAll { $0 === box.connection }
                box.connection = nil
            })
        box.connection = connection
        connections.append(connection)
        worker.add(connection)
        do {
            try socket.pipeline.syncOperations.addHandlers([
                ProtocolGate { [world] in world.ledger.violate("refused a caller: \($0)") }, connection.makeTransport(),
            ])
        } catch {
            world.ledger.violate("no handlers: \(error)")
        }
    }

    private final class Box {
        var connection: DownstreamConnection?
    }

    /// Has the worker work from a new snapshot.
    /// - Parameter clusters: how many of the clusters are left.
    func publish(
        busy members: [SimulatedHost], _ settings: ClusterSettings, bystander other: Endpoint,
        plans: [CallPlan.Route: RoutePlan], clusters count: Int = 2
    ) {
        version += 1
        let endpoints = members.map(\.endpoint)
        world.ledger.note(version, endpoints.count, "snapshot \(version): \(endpoints.map(\.name))")
        let clusters = [
            Cluster(
                name: Self.names[0], settings: settings, endpoints: endpoints, traits: members.map(\.traits),
                resolution: .resolved, state: busy),
            Cluster(
                name: Self.names[1], settings: ClusterSettings(), endpoints: [other], resolution: .resolved,
                state: bystander),
        ]
        let routes = CallPlan.Route.allCases.map { route in
            Route(
                name: "\(route)", path: .prefix(Array("/\(route).".utf8)),
                clusterIndex: route == .bystander ? 1 : 0, plan: plans[route] ?? .plain)
        }
        worker.apply(
            Snapshot(
                version: version, routes: RouteTable(routes.filter { $0.clusterIndex < count }),
                clusters: Array(clusters.prefix(count))))
    }

    func count(_ metric: ClusterMetric) -> Int {
        registry.clusterTotals().reduce(0) { $0 + $1.cells[metric.rawValue] }
    }

    /// At every moment: what may never be.
    func checkAlways(_ endpoints: [Endpoint]) {
        let ledger = world.ledger
        if registry.total(.invariantViolations) != 0 { ledger.violate("ekiden_invariant_violations_total") }
        let buffered = registry.total(.bufferedBytes)
        let streams = registry.total(.downstreamStreamsActive)
        // Both directions of a stream hold a window each, the request what is kept for a replay.
        let window = settings.limits.streamWindowBytes + 65_536
        if buffered < 0 || buffered > streams * (2 * window + 65_536) {
            ledger.violate("\(buffered) bytes are buffered for \(streams) streams")
        }
        if streams < 0 { ledger.violate("\(streams) streams are active") }
        for pool in worker.pools where pool.pendingCount < 0 {
            ledger.violate("\(pool.pendingCount) streams are pending")
        }
        for endpoint in endpoints {
            let active = endpoint.activeStreams.load(ordering: .relaxed)
            if active < 0 { ledger.violate("\(active) streams on \(endpoint.name)") }
        }
    }

    /// At rest: every slot that was leased is returned, and every byte given back.
    func checkQuiet(_ endpoints: [Endpoint]) {
        var left = [
            ("active streams", registry.total(.downstreamStreamsActive)),
            ("buffered bytes", registry.total(.bufferedBytes)),
            ("bytes held for a replay", registry.total(.retainedBytes)),
            ("upstream streams", count(.streamsActive)),
            ("pending streams", count(.pendingStreams)),
        ]
        for endpoint in endpoints {
            left.append(("streams on \(endpoint.name)", endpoint.activeStreams.load(ordering: .relaxed)))
            left.append(("streams awaited by \(endpoint.name)", endpoint.awaitedStreams.load(ordering: .relaxed)))
        }
        for (name, count) in left where count != 0 { world.ledger.violate("\(count) \(name) at rest") }
    }

    /// When everybody has gone: no connection is left, nor counted.
    func checkGone(_ endpoints: [Endpoint]) {
        var left = [
            ("connections of callers", registry.total(.downstreamConnectionsActive)),
            ("connections in the table", connections.count),
            ("connections to tasks", count(.connectionsActive)),
            ("links", world.network.links.count),
            ("sockets in memory", world.network.socketsLeft),
        ]
        for endpoint in endpoints {
            left.append(("connections to \(endpoint.name)", endpoint.connections.load(ordering: .relaxed)))
        }
        for (name, count) in left where count != 0 { world.ledger.violate("\(count) \(name) in the end") }
    }
}
