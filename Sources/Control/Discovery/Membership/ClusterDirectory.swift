package import DNS
package import Logging
package import Policy
import ServiceLifecycle

/// Who belongs to which cluster, now: runs discovery for the whole configuration and turns every change into a new
/// ``Policy/Snapshot``.
///
/// One resolver per DNS name, however many clusters use it. Clusters, endpoints and resolvers that a reload does not
/// concern stay the objects they were.
package actor ClusterDirectory: Service {
    private var configuration: Configuration
    private let compileRoutes: @Sendable (Configuration) -> RouteTable
    private let makeTransport: @Sendable (DNSSettings) -> any DNSTransport
    private let clock: DiscoveryClock
    private let logger: Logger
    private let publish: @Sendable (Snapshot) -> Void

    private struct RunningResolver {
        let resolver: NameResolver
        let task: Task<Void, Never>
    }

    private var transport: any DNSTransport
    private var resolvers: [DNSName: RunningResolver] = [:]
    private var resolutions: [DNSName: Resolution] = [:]
    private var memberships: [String: ClusterMembership] = [:]
    private var nextClusterID = 0
    private var version = 0
    private var isRunning = false
    private var waiters: [Int: CheckedContinuation<Bool, Never>] = [:]
    private var nextWaiterID = 0

    /// - Parameters:
    ///   - configuration: already checked.
    ///   - compileRoutes: ``Policy/Route/clusterIndex`` is the position in ``Configuration/clusters``.
    ///   - transport: makes the way to the name servers; called again when a reload changes them.
    ///   - clock: for TTLs and back-off; tests turn it by hand.
    ///   - publish: called in order, with growing versions, from one caller at a time; must not block.
    package init(
        configuration: Configuration,
        compileRoutes: @escaping @Sendable (Configuration) -> RouteTable,
        transport: @escaping @Sendable (DNSSettings) -> any DNSTransport = { DNSClient(settings: $0) },
        clock: some Clock<Duration> = ContinuousClock(),
        logger: Logger = Logger(label: "ekiden.discovery"),
        publish: @escaping @Sendable (Snapshot) -> Void
    ) {
        self.configuration = configuration
        self.compileRoutes = compileRoutes
        self.makeTransport = transport
        self.transport = transport(configuration.dns)
        self.clock = DiscoveryClock(clock)
        self.logger = logger
        self.publish = publish
    }

    /// Publishes the first snapshot and keeps resolving until graceful shutdown or cancellation.
    package func run() async throws {
        isRunning = true
        reconcile()
        // Ends by graceful shutdown or by cancellation; both mean the same here.
        try? await gracefulShutdown()
        isRunning = false
        let tasks = resolvers.values.map(\.task)
        resolvers.removeAll()
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
        await transport.close()
    }

    /// Replaces the configuration (SIGHUP). What it does not change goes on undisturbed.
    package func apply(_ configuration: Configuration) async {
        let previous = self.configuration
        self.configuration = configuration
        guard isRunning else { return }
        var retired: (any DNSTransport)?
        if configuration.dns != previous.dns {
            if configuration.dns.needsNewTransport(after: previous.dns) {
                retired = transport
                transport = makeTransport(configuration.dns)
            }
            for running in resolvers.values {
                await running.resolver.use(transport: transport, settings: configuration.dns)
            }
        }
        reconcile()
        await retired?.close()
    }

    /// Waits until each name has been looked up once, with whatever outcome.
    /// - Returns: false when `timeout` was over first or the task was cancelled.
    package func waitForFirstResolution(timeout: Duration) async -> Bool {
        if isResolvedOnce { return true }
        let id = nextWaiterID
        nextWaiterID += 1
        let timer = Task {
            try? await clock.sleep(timeout)
            finishWaiter(id, false)
        }
        defer { timer.cancel() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { waiters[id] = $0 }
        } onCancel: {
            Task { await self.finishWaiter(id, false) }
        }
    }

    /// All clusters in the order of the configuration.
    package func status() -> [ClusterStatus] {
        let now = clock.now()
        return configuration.clusters.compactMap { rule in
            guard let cluster = memberships[rule.name]?.cluster else { return nil }
            return ClusterStatus(
                name: cluster.name, settings: cluster.settings, resolution: cluster.resolution,
                endpoints: cluster.endpoints, sources: rule.discover.map { status(of: $0, now: now) })
        }
    }

    private func status(of source: DiscoverySource, now: Duration) -> SourceStatus {
        let view = view(of: source)
        let resolution = view.resolution
        return SourceStatus(
            source: source, addressCount: view.addresses.count, ttl: resolution?.ttl.map { .seconds(Int64($0)) },
            lastSuccessAge: resolution?.lastSuccess.map { now - $0 }, isFailing: view.failure != nil,
            lastFailure: view.failure ?? resolution?.lastFailure?.description,
            answers: resolution?.answers ?? 0, failures: resolution?.failures ?? 0)
    }
}

// MARK: From configuration and answers to snapshots

extension ClusterDirectory {
    /// Brings resolvers and clusters in line with the configuration and publishes the result.
    private func reconcile() {
        for rule in configuration.clusters {
            memberships[rule.name]?.replaceSources(with: rule.discover) { view(of: $0).addresses }
        }
        let names = Set(configuration.clusters.flatMap(\.dnsNames))
        for (name, running) in resolvers where !names.contains(name) {
            running.task.cancel()
            resolvers[name] = nil
            resolutions[name] = nil
        }
        for name in names where resolvers[name] == nil { resolvers[name] = start(name) }

        let clusterNames = Set(configuration.clusters.map(\.name))
        memberships = memberships.filter { clusterNames.contains($0.key) }
        for rule in configuration.clusters {
            if memberships[rule.name] == nil {
                memberships[rule.name] = ClusterMembership(rule: rule, id: nextClusterID)
                nextClusterID += 1
            }
            memberships[rule.name]?.refresh.replace(with: rule.dnsNames.compactMap { resolvers[$0]?.resolver })
            _ = update(rule)
        }
        publishSnapshot()
        wakeWaiters()
    }

    private func start(_ name: DNSName) -> RunningResolver {
        let resolver = NameResolver(
            name: name, transport: transport, settings: configuration.dns, clock: clock,
            random: SystemRandomNumberGenerator(),
            report: { [weak self] name, resolution in await self?.record(resolution, for: name) })
        return RunningResolver(resolver: resolver, task: Task { await resolver.run() })
    }

    /// A resolver has finished a lookup.
    private func record(_ resolution: Resolution, for name: DNSName) {
        // A report may still be on its way when a reload drops the name.
        guard resolvers[name] != nil else { return }
        resolutions[name] = resolution
        var hasChanged = false
        for rule in configuration.clusters where rule.dnsNames.contains(name) {
            if update(rule) { hasChanged = true }
        }
        if hasChanged { publishSnapshot() }
        wakeWaiters()
    }

    /// Unites what the sources of a cluster say.
    /// - Returns: whether the cluster changed.
    private func update(_ rule: ClusterRule) -> Bool {
        let views = rule.discover.map { view(of: $0) }
        let failures = views.compactMap(\.failure)
        let resolution: Cluster.Resolution
        if !failures.isEmpty {
            resolution = .failed(failures.joined(separator: "; "))
        } else {
            resolution = views.contains(where: \.isPending) ? .pending : .resolved
        }
        let change = memberships[rule.name]?.update(
            settings: rule.settings, addresses: views.reduce(into: []) { $0.formUnion($1.addresses) },
            isComplete: views.allSatisfy(\.hasSucceeded), resolution: resolution)
        guard let change else { return false }
        if let line = change.membershipLine(ttl: views.compactMap(\.resolution?.ttl).min()) { logger.info("\(line)") }
        if let line = change.failureLine { logger.warning("\(line)") }
        if let line = change.recoveryLine { logger.info("\(line)") }
        return true
    }

    /// What one source says now.
    private struct SourceView {
        var addresses: [EndpointAddress] = []
        /// Of a DNS source that has been looked up.
        var resolution: Resolution?
        /// Why its last lookup failed.
        var failure: String?
        var isPending = false

        /// Whether its addresses, if any, are those of a good answer.
        var hasSucceeded: Bool {
            if let resolution { resolution.lastSuccess != nil } else { !isPending && failure == nil }
        }
    }

    private func view(of source: DiscoverySource) -> SourceView {
        switch source {
        case .fixed(let addresses):
            return SourceView(addresses: addresses)
        case .srv, .file:
            return SourceView(isPending: true)
        case .dns(let text, let port):
            guard let name = DNSName(text) else {
                return SourceView(failure: DNSFailure(.invalidName, name: text).description)
            }
            guard let resolution = resolutions[name] else { return SourceView(isPending: true) }
            return SourceView(
                addresses: resolution.addresses.map { EndpointAddress(host: $0.description, port: port) },
                resolution: resolution, failure: resolution.failure?.description)
        }
    }

    private func publishSnapshot() {
        version += 1
        publish(
            Snapshot(
                version: version, routes: compileRoutes(configuration),
                clusters: configuration.clusters.compactMap { memberships[$0.name]?.cluster }))
    }

    private var isResolvedOnce: Bool {
        isRunning && resolvers.keys.allSatisfy { resolutions[$0]?.hasOutcome == true }
    }

    private func wakeWaiters() {
        guard isResolvedOnce else { return }
        for id in waiters.keys { finishWaiter(id, true) }
    }

    private func finishWaiter(_ id: Int, _ isResolved: Bool) {
        waiters.removeValue(forKey: id)?.resume(returning: isResolved)
    }
}

extension ClusterRule {
    /// The names to look up; a source whose name is none shows as a failure of the cluster.
    fileprivate var dnsNames: [DNSName] {
        discover.compactMap { source in
            if case .dns(let name, _) = source { DNSName(name) } else { nil }
        }
    }
}

extension DNSSettings {
    fileprivate func needsNewTransport(after previous: DNSSettings) -> Bool {
        servers != previous.servers || timeout != previous.timeout || tries != previous.tries
    }
}
