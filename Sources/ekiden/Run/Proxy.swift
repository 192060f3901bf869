import Control
import DataPlane
import Logging
import NIOCore
import NIOPosix
import Policy
import ServiceLifecycle
import Telemetry
import UnixSignals

/// The running proxy: joins the data plane to the control side, and obeys signals until the end.
struct Proxy {
    private let source: ConfigurationSource
    private let environment: [String: String]
    private let logger: Logger
    private let configuration: Configuration

    /// How long the start waits for the first answers of discovery before it goes on without them.
    private static let firstResolutionPatience: Duration = .seconds(3)
    /// And after that for the first health checks, and how often it looks for them.
    private static let firstCheckPatience: Duration = .seconds(3)
    private static let firstCheckPoll: Duration = .milliseconds(20)
    /// How often the drain looks whether the last connection is gone.
    private static let drainPoll: Duration = .milliseconds(50)
    /// What is kept of `drain.timeout` to end the streams that are left with a word, at most.
    private static let lastWordsMax: Duration = .seconds(1)

    init(configuration: Configuration, source: ConfigurationSource, environment: [String: String], logger: Logger) {
        self.configuration = configuration
        self.source = source
        self.environment = environment
        self.logger = logger
    }

    /// How it ended.
    private enum Ending {
        case drained, cut, forced
    }

    /// Runs until a signal ends it.
    /// - Throws: an `ExitCode` other than 0.
    func run() async throws {
        let descriptors = ProcessEnvironment.raiseDescriptorLimit()
        let workers = configuration.workers ?? System.coreCount
        let group = MultiThreadedEventLoopGroup(numberOfThreads: workers)
        let registry = MetricsRegistry()
        let lifecycle = ProxyLifecycle()
        let dataPlane = try await DataPlane(
            group: group, registry: registry, logger: logger,
            bufferLimit: configuration.bufferLimit, overload: configuration.overload, descriptorLimit: descriptors)
        let health = HealthChecks(logger: logger)
        let routes = RouteCompilation()
        let directory = ClusterDirectory(
            configuration: configuration, compileRoutes: routes.compile, logger: logger,
            publish: {
                dataPlane.publish($0)
                health.follow($0)
            })

        // Signals are trapped before anything listens: none is lost to its default action.
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sigquit, .sighup)
        logger.info("ekiden \(Version.number): \(workers) workers, at most \(descriptors) descriptors")

        let ending: Ending
        do {
            ending = try await withThrowingTaskGroup(of: Ending?.self) { tasks in
                tasks.addTask {
                    try await directory.run()
                    return nil
                }
                tasks.addTask {
                    try await health.run()
                    return nil
                }
                if let settings = configuration.admin {
                    let admin = makeAdmin(settings, directory, registry, health, lifecycle)
                    tasks.addTask {
                        try await admin.run()
                        return nil
                    }
                }
                try await listen(dataPlane, configuration.listeners)
                tasks.addTask {
                    await announceReady(directory)
                    lifecycle.noteStarted()
                    return nil
                }
                tasks.addTask { await obey(signals, dataPlane, directory, lifecycle) }
                while let ending = try await tasks.next() {
                    if let ending {
                        tasks.cancelAll()
                        return ending
                    }
                }
                return .drained
            }
        } catch let error as ListenError {
            ProcessLog.printError("ekiden: error: \(error)")
            throw ExitCodes.failure
        } catch let error as AdminListenError {
            ProcessLog.printError("ekiden: error: \(error)")
            throw ExitCodes.failure
        }
        switch ending {
        case .drained:
            logger.info("drained, bye")
        case .cut:
            throw ExitCodes.forced
        case .forced:
            logger.warning("exit at once: second signal")
            throw ExitCodes.forced
        }
    }

    /// The admin server, on a loop of its own: it answers also when the workers are busy.
    private func makeAdmin(
        _ settings: AdminSettings, _ directory: ClusterDirectory, _ registry: MetricsRegistry, _ health: HealthChecks,
        _ lifecycle: ProxyLifecycle
    ) -> AdminServer {
        let source = AdminSource(
            version: Version.number, registry: registry,
            readiness: {
                Readiness(
                    clusters: await directory.status(), isStarting: lifecycle.isStarting,
                    isDraining: lifecycle.isDraining)
            },
            clusters: { await directory.status() },
            timeline: { await directory.timeline(of: $0) },
            families: { lifecycle.families + health.families })
        return AdminServer(
            settings: settings, source: source, group: MultiThreadedEventLoopGroup(numberOfThreads: 1), logger: logger)
    }

    /// - Parameter known: listeners that are open as they should be, of which there is nothing to say.
    private func listen(
        _ dataPlane: DataPlane, _ settings: [ListenerSettings], known: [ListenerSettings] = []
    ) async throws {
        for (listener, wanted) in zip(try await dataPlane.listen(settings), settings) where !known.contains(wanted) {
            let address = listener.address.description
            // One without a name is called by its address.
            logger.info("listening \(listener.name == address ? address : "\(listener.name) \(address)")")
        }
    }

    private func announceReady(_ directory: ClusterDirectory) async {
        _ = await directory.waitForFirstResolution(timeout: Self.firstResolutionPatience)
        await waitForFirstChecks(directory)
        let clusters = await directory.status()
        // The process leaves; how far it had come says nothing.
        guard !Task.isCancelled else { return }
        let waiting = clusters.filter { $0.endpoints.isEmpty }.map(\.name)
        let failing = clusters.filter(\.isUnfit).map(\.name)
        if !waiting.isEmpty {
            logger.warning("not ready: no endpoint yet of \(waiting.joined(separator: ", ")); going on")
        } else if !failing.isEmpty {
            logger.warning("ready; no endpoint of \(failing.joined(separator: ", ")) passes its checks")
        } else {
            logger.info("ready")
        }
    }

    /// Waits until each cluster has an endpoint that was checked, or needs none.
    private func waitForFirstChecks(_ directory: ClusterDirectory) async {
        let clock = ContinuousClock()
        let deadline = clock.now + Self.firstCheckPatience
        while clock.now < deadline, !Task.isCancelled {
            let isWaiting = await directory.status().contains { cluster in
                !cluster.endpoints.isEmpty && cluster.endpoints.allSatisfy { $0.health.current == .pending }
            }
            guard isWaiting else { return }
            try? await clock.sleep(for: Self.firstCheckPoll)
        }
    }

    // MARK: Signals

    private func obey(
        _ signals: UnixSignalsSequence, _ dataPlane: DataPlane, _ directory: ClusterDirectory,
        _ lifecycle: ProxyLifecycle
    ) async -> Ending? {
        await withTaskGroup(of: Ending?.self) { tasks in
            tasks.addTask {
                for await signal in signals {
                    if signal == .sighup, lifecycle.isDraining {
                        logger.warning("reload ignored: draining")
                    } else if signal == .sighup {
                        await reload(dataPlane, directory, lifecycle)
                    } else if !lifecycle.beginDrain() {
                        return .forced
                    } else {
                        logger.info("draining: \(signal) received")
                    }
                }
                return nil
            }
            tasks.addTask {
                guard await lifecycle.drainBegins() else { return nil }
                return await drain(dataPlane, lifecycle.configuration?.drain ?? configuration.drain)
            }
            let first = await tasks.next() ?? nil
            tasks.cancelAll()
            return first
        }
    }

    /// Loads the file again. A bad one is refused with its errors, and everything stays as it is.
    private func reload(_ dataPlane: DataPlane, _ directory: ClusterDirectory, _ lifecycle: ProxyLifecycle) async {
        guard let path = source.path(environment: environment) else {
            logger.warning("reload: there is no file to load again, the configuration came from flags")
            return
        }
        switch source.read(environment: environment) {
        case .failure(let invalid):
            logger.error("reload refused: \(path) has errors, the old configuration stays")
            ProcessLog.printError(invalid.rendered(color: ProcessLog.hasColor))
            lifecycle.noteReload(succeeded: false)
        case .success(let loaded):
            for warning in loaded.warnings { ProcessLog.printError(warning.rendered(color: ProcessLog.hasColor)) }
            let next = loaded.configuration
            let current = lifecycle.configuration ?? configuration
            do {
                try await listen(dataPlane, next.listeners, known: current.listeners)
            } catch {
                logger.error("reload refused: \(error); the old configuration stays")
                lifecycle.noteReload(succeeded: false)
                return
            }
            // What runs is what was started, whatever files said since.
            for key in next.keysForRestart(since: configuration) {
                logger.warning("reload: a change of `\(key)` takes a restart")
            }
            await directory.apply(next)
            lifecycle.configuration = next
            lifecycle.noteReload(succeeded: true)
            logger.info("reloaded \(path): \(next.summary)")
        }
    }

    /// Leaves without losing a call: GOAWAY in two steps at once, accepting for `delay` more, then waiting for the
    /// last stream until `timeout` is nearly over.
    private func drain(_ dataPlane: DataPlane, _ settings: DrainSettings) async -> Ending {
        let clock = ContinuousClock()
        let start = clock.now
        dataPlane.announceDrain()
        try? await clock.sleep(until: start + settings.delay)
        await dataPlane.stopListening()
        // Those that came in the meantime.
        dataPlane.announceDrain()
        let lastWords = min(settings.timeout / 10, Self.lastWordsMax)
        let deadline = start + max(settings.timeout - lastWords, settings.delay)
        while clock.now < deadline {
            if await dataPlane.openConnections() == 0 { return .drained }
            try? await clock.sleep(for: Self.drainPoll)
            if Task.isCancelled { return .forced }
        }
        let left = await dataPlane.openConnections()
        logger.warning("drain timeout: \(left) connections are cut")
        dataPlane.endNow()
        while clock.now < deadline + lastWords, await dataPlane.openConnections() > 0 {
            try? await clock.sleep(for: Self.drainPoll)
        }
        return .cut
    }
}
