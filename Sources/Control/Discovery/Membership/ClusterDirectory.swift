package import Logging
package import Policy
import ServiceLifecycle

/// Who belongs to which cluster, now: runs discovery for the whole configuration and turns every change into a new
/// ``Policy/Snapshot``.
///
/// Clusters whose sources are the same share one that runs. Clusters, endpoints and sources that a reload does not
/// concern stay the objects they were.
package actor ClusterDirectory: Service {
    var configuration: Configuration
    let clock: DiscoveryClock
    let logger: Logger
    private let compileRoutes: @Sendable (Configuration) -> RouteTable
    private let publish: @Sendable (Snapshot) -> Void
    private let makeTransport: @Sendable (DNSSettings) -> any DNSTransport

    private struct RunningSource {
        let source: any EndpointSource
        let task: Task<Void, Never>
    }

    private var transport: any DNSTransport
    /// As it was read last.
    private var system = try? SystemResolver.read()
    private var factory: SourceFactory
    private var running: [SourceKey: RunningSource] = [:]
    /// What each running source said last.
    var reports: [SourceKey: SourceReport] = [:]
    var memberships: [String: ClusterMembership] = [:]
    /// Of the configuration; made again only when that changes.
    private var routes: RouteTable
    private var nextClusterID = 0
    private var version = 0
    private var isRunning = false
    private var waiters: [Int: CheckedContinuation<Bool, Never>] = [:]
    private var nextWaiterID = 0
    /// What the workers tell about endpoints that they cannot reach.
    private let evidence = AsyncStream.makeStream(of: Evidence.self, bufferingPolicy: .bufferingNewest(1_024))

    /// - Parameters:
    ///   - configuration: already checked.
    ///   - compileRoutes: ``Policy/Route/clusterIndex`` is the position in ``Configuration/clusters``.
    ///   - transport: makes the way to the name servers; called again when a reload changes them.
    ///   - clock: for TTLs and back-off; tests turn it by hand.
    ///   - publish: called in order, with growing versions, from one caller at a time; must not block.
    package init(
        configuration: Configuration,
        compileRoutes: @escaping @Sendable (Configuration) -> RouteTable,
        transport: @escaping @Sendable (DNSSettings) -> any DNSTransport = {
            SharedQueries(over: DNSClient(settings: $0))
        },
        clock: some Clock<Duration> = ContinuousClock(),
        logger: Logger = Logger(label: "ekiden.discovery"),
        publish: @escaping @Sendable (Snapshot) -> Void
    ) {
        let clock = DiscoveryClock(clock)
        self.configuration = configuration
        self.compileRoutes = compileRoutes
        self.clock = clock
        self.logger = logger
        self.publish = publish
        routes = compileRoutes(configuration)
        makeTransport = transport
        let transport = transport(configuration.dns)
        self.transport = transport
        factory = SourceFactory(settings: configuration.dns, transport: transport, clock: clock)
    }

    /// Publishes the first snapshot and keeps looking until graceful shutdown or cancellation.
    package func run() async throws {
        isRunning = true
        reconcile()
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                for await evidence in self.evidence.stream { await self.take(evidence) }
            }
            group.addTask {
                // Ends by graceful shutdown or by cancellation; both mean the same here.
                try? await gracefulShutdown()
            }
            await group.next()
            group.cancelAll()
        }
        isRunning = false
        let tasks = running.values.map(\.task)
        running.removeAll()
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
        await transport.close()
    }

    /// Replaces the configuration (SIGHUP). What it does not change goes on undisturbed.
    package func apply(_ configuration: Configuration) async {
        let hasNewDNS = configuration.dns != self.configuration.dns || configuration.dns.asksSystem && hasNewSystem()
        let retired = hasNewDNS ? transport : nil
        self.configuration = configuration
        routes = compileRoutes(configuration)
        if hasNewDNS {
            transport = makeTransport(configuration.dns)
            factory = SourceFactory(settings: configuration.dns, transport: transport, clock: clock)
        }
        // Nothing may come between the new routes and the clusters that they point to, so that waiting follows last.
        if isRunning {
            let kept = running
            reconcile()
            if hasNewDNS {
                for (key, kept) in kept where running[key] != nil { await factory.update(kept.source, key) }
            }
        }
        await retired?.close()
    }

    /// Whether the system's name servers or search domains are others than they were.
    private func hasNewSystem() -> Bool {
        let previous = system
        system = try? SystemResolver.read()
        return system != previous
    }

    /// Waits until each source has been looked at once, with whatever outcome.
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

    // MARK: From configuration and reports to snapshots

    /// Brings sources and clusters in line with the configuration and publishes the result.
    private func reconcile() {
        for rule in configuration.clusters {
            memberships[rule.name]?.replaceSources(with: rule.discover, keys: self.keys(of: rule))
        }
        let keys = Set(configuration.clusters.flatMap { self.keys(of: $0) })
        for (key, running) in running where !keys.contains(key) {
            running.task.cancel()
            self.running[key] = nil
            reports[key] = nil
        }
        for key in keys where running[key] == nil { running[key] = start(key) }

        let names = Set(configuration.clusters.map(\.name))
        memberships = memberships.filter { names.contains($0.key) }
        for rule in configuration.clusters {
            if memberships[rule.name] == nil { memberships[rule.name] = makeMembership(rule) }
            memberships[rule.name]?.refresh.replace(with: self.keys(of: rule).compactMap { running[$0]?.source })
            _ = update(rule)
        }
        publishSnapshot()
        wakeWaiters()
    }

    private func makeMembership(_ rule: ClusterRule) -> ClusterMembership {
        let (name, evidence) = (rule.name, evidence.continuation)
        defer { nextClusterID += 1 }
        return ClusterMembership(rule: rule, keys: keys(of: rule), id: nextClusterID) { endpoint, reason in
            evidence.yield(Evidence(cluster: name, endpoint: endpoint, reason: reason))
        }
    }

    private func start(_ key: SourceKey) -> RunningSource {
        let source = factory.make(key)
        let task = Task {
            await source.run { [weak self] report in await self?.take(report, of: key) }
        }
        return RunningSource(source: source, task: task)
    }

    /// A source has looked.
    private func take(_ report: SourceReport, of key: SourceKey) {
        // A report may still be on its way when a reload drops the source.
        guard running[key] != nil else { return }
        reports[key] = report
        var hasChanged = false
        for rule in configuration.clusters {
            if let source = rule.discover.first(where: { self.key(of: $0, in: rule) == key }) {
                note(report.events, of: source, in: rule.name)
            }
            if keys(of: rule).contains(key), update(rule) { hasChanged = true }
        }
        if hasChanged { publishSnapshot() }
        wakeWaiters()
    }

    /// A worker could not reach an endpoint.
    private func take(_ evidence: Evidence) {
        guard let rule = configuration.clusters.first(where: { $0.name == evidence.cluster }) else { return }
        let text = "\(evidence.endpoint.name): \(evidence.reason)"
        note([DiscoveryEvent(.unreachable, text)], of: nil, in: rule.name)
        memberships[rule.name]?.note(unreachable: evidence.endpoint.address)
        memberships[rule.name]?.refresh.request()
        if update(rule) { publishSnapshot() }
    }

    private func publishSnapshot() {
        version += 1
        publish(
            Snapshot(
                version: version, routes: routes,
                clusters: configuration.clusters.compactMap { memberships[$0.name]?.cluster }))
    }

    // MARK: Waiting for the start

    private var isResolvedOnce: Bool {
        isRunning && running.keys.allSatisfy { reports[$0]?.hasOutcome == true }
    }

    private func wakeWaiters() {
        guard isResolvedOnce else { return }
        for id in waiters.keys { finishWaiter(id, true) }
    }

    private func finishWaiter(_ id: Int, _ isResolved: Bool) {
        waiters.removeValue(forKey: id)?.resume(returning: isResolved)
    }
}

/// What a worker saw of an endpoint.
private struct Evidence: Sendable {
    let cluster: String
    let endpoint: Endpoint
    /// `connection refused`; without the endpoint's name.
    let reason: String
}

extension DNSSettings {
    /// Whether something is left to `/etc/resolv.conf`.
    fileprivate var asksSystem: Bool { servers.isEmpty || search == nil || ndots == nil }
}
