import Control
import DataPlane
import Logging
import NIOCore
import NIOPosix
import Policy
import Synchronization
import Telemetry

/// Ekiden as the demo runs it: the parts of `ekiden run`, with a look at what they do.
struct DemoMesh: Sendable {
    let address: ListenAddress
    private let dataPlane: DataPlane
    private let directory: ClusterDirectory
    private let admin: AdminServer?
    private let registry: MetricsRegistry
    private let lifecycle = ProxyLifecycle()

    private static let workersMax = 2
    private static let drainPoll: Duration = .milliseconds(20)
    private static let firstResolutionPatience: Duration = .seconds(3)

    /// Opens the listener; nothing is routed before ``run()``.
    /// - Parameter onMembership: called for each change of the set of endpoints, from the control side's thread.
    /// - Throws: ``DemoProblem``, ``Control/InvalidConfiguration``.
    init(
        listen: ListenAddress, admin: ListenAddress, upstream: DiscoverySource, nameServer: EndpointAddress,
        logger: Logger, onMembership: @escaping @Sendable (DemoMembershipChange) -> Void
    ) async throws {
        let configuration = try RunFlags(
            listen: "\(listen)", upstream: "\(upstream)", admin: "\(admin)", dnsServer: "\(nameServer)"
        ).configuration(environment: [:]).get().configuration
        let registry = MetricsRegistry()
        let workers = MultiThreadedEventLoopGroup(numberOfThreads: min(System.coreCount, Self.workersMax))
        let dataPlane = try await DataPlane(group: workers, registry: registry, logger: logger)
        let membership = Mutex<Set<EndpointAddress>>([])
        let directory = ClusterDirectory(
            configuration: configuration, compileRoutes: RouteCompilation().compile, logger: logger,
            publish: { snapshot in
                dataPlane.publish(snapshot)
                let now = Set(snapshot.clusters.flatMap { $0.endpoints.map(\.address) })
                let change = membership.withLock { known in
                    defer { known = now }
                    return DemoMembershipChange(from: known, to: now)
                }
                if !change.isEmpty { onMembership(change) }
            })
        let lifecycle = lifecycle
        self.admin = configuration.admin.map { settings in
            AdminServer(
                settings: settings,
                source: AdminSource(
                    version: Version.number, registry: registry,
                    readiness: {
                        Readiness(
                            clusters: await directory.status(), isStarting: lifecycle.isStarting,
                            isDraining: lifecycle.isDraining)
                    },
                    clusters: { await directory.status() },
                    families: { lifecycle.families }),
                group: MultiThreadedEventLoopGroup(numberOfThreads: 1), logger: logger)
        }
        do {
            address = try await dataPlane.listen(configuration.listeners).first?.address ?? listen
        } catch let error as ListenError {
            throw DemoProblem("\(error)")
        }
        self.registry = registry
        self.dataPlane = dataPlane
        self.directory = directory
    }

    /// Runs discovery and the admin server until the task is cancelled.
    /// - Throws: ``DemoProblem`` when the admin server can't be opened.
    func run() async throws {
        do {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await directory.run() }
                if let admin { tasks.addTask { try await admin.run() } }
                try await tasks.waitForAll()
            }
        } catch let error as AdminListenError {
            throw DemoProblem("\(error)")
        }
    }

    /// Waits until discovery has had its first answer.
    /// - Throws: ``DemoProblem`` when there is none.
    func becomeReady() async throws {
        guard await directory.waitForFirstResolution(timeout: Self.firstResolutionPatience) else {
            throw DemoProblem("the demo's own name server gives no answer")
        }
        lifecycle.noteStarted()
    }

    /// What the workers counted since the start.
    var repairs: DemoRepairs {
        registry.clusterTotals().reduce(into: DemoRepairs()) { sum, cluster in
            sum.connectFailures += cluster.cells[ClusterMetric.connectFailures.rawValue]
            sum.movedStreams += cluster.cells[ClusterMetric.replaysUnsent.rawValue]
            sum.movedStreams += cluster.cells[ClusterMetric.replaysRefused.rawValue]
        }
    }

    /// Takes leave of callers: GOAWAY, then waiting for their last calls.
    func drain(timeout: Duration) async {
        _ = lifecycle.beginDrain()
        await dataPlane.stopListening()
        dataPlane.announceDrain()
        let clock = ContinuousClock()
        let deadline = clock.now + timeout
        while await dataPlane.openConnections() > 0, !Task.isCancelled {
            if clock.now >= deadline {
                dataPlane.endNow()
                return
            }
            try? await clock.sleep(for: Self.drainPoll)
        }
    }
}

/// Endpoints that came and went between two snapshots.
struct DemoMembershipChange: Sendable {
    let added: [String]
    let removed: [String]
    let count: Int

    init(from old: Set<EndpointAddress>, to new: Set<EndpointAddress>) {
        added = new.subtracting(old).map(\.host).sorted()
        removed = old.subtracting(new).map(\.host).sorted()
        count = new.count
    }

    var isEmpty: Bool { added.isEmpty && removed.isEmpty }
}

/// What Ekiden did so that callers noticed nothing.
struct DemoRepairs: Sendable, Equatable {
    var connectFailures = 0
    /// Streams that were certainly not processed and went to another task.
    var movedStreams = 0

    static func - (now: DemoRepairs, before: DemoRepairs) -> DemoRepairs {
        DemoRepairs(
            connectFailures: now.connectFailures - before.connectFailures,
            movedStreams: now.movedStreams - before.movedStreams)
    }
}
