package import Logging
import NIOCore
import NIOPosix
package import Policy
import ServiceLifecycle
import Synchronization
package import Telemetry

/// Asks the endpoints of clusters with ``Policy/ClusterSettings/healthCheck`` whether they are well, and writes down in
/// ``Policy/Endpoint/health`` what the balancers go by.
///
/// All checks run on one event loop of their own, beside the workers: a thousand endpoints cost no request its turn.
package final class HealthChecks: Service {
    private enum State {
        /// The snapshot that the loop has not looked at yet.
        case following(Snapshot?)
        case stopped
    }

    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let eventLoop: any EventLoop
    /// Made, used and emptied on the loop.
    private let roster: NIOLoopBoundBox<HealthRoster?>
    private let state = Mutex(State.following(nil))
    private let counters = HealthCounters()
    private let logger: Logger
    private let onChange: @Sendable (HealthChange) -> Void

    /// - Parameter onChange: called on the loop of the checks when the verdict on an endpoint is another one; must not
    ///   block.
    package init(
        logger: Logger = Logger(label: "ekiden.health"),
        onChange: @escaping @Sendable (HealthChange) -> Void = { _ in }
    ) {
        let eventLoop = group.next()
        self.eventLoop = eventLoop
        self.logger = logger
        self.onChange = onChange
        roster = NIOLoopBoundBox.makeEmptyBox(eventLoop: eventLoop)
    }

    /// Metrics of the checks.
    package var families: [MetricFamily] { counters.families }

    /// Checks the endpoints of this snapshot from now on. From any thread, returns at once; what has not been looked at
    /// when the next one comes is passed over.
    package func follow(_ snapshot: Snapshot) {
        state.withLock { state in
            guard case .following(let waiting) = state else { return }
            state = .following(snapshot)
            if waiting == nil { eventLoop.execute { self.takeSnapshot() } }
        }
    }

    /// Waits for graceful shutdown or cancellation and ends all checks. Those of snapshots that came before are under
    /// way already.
    package func run() async throws {
        // Ends by graceful shutdown or by cancellation; both mean the same here.
        try? await gracefulShutdown()
        state.withLock { $0 = .stopped }
        try? await eventLoop.submit {
            self.roster.value?.stop()
            self.roster.value = nil
        }.get()
        try? await group.shutdownGracefully()
    }

    private func takeSnapshot() {
        let snapshot: Snapshot? = state.withLock { state in
            guard case .following(let snapshot) = state else { return nil }
            state = .following(nil)
            return snapshot
        }
        guard let snapshot else { return }
        let roster = roster.value ?? HealthRoster(eventLoop: eventLoop) { [weak self] in self?.note($1, of: $0) }
        self.roster.value = roster
        roster.follow(snapshot)
    }

    private func note(_ news: HealthNews, of subject: CheckedEndpoint) {
        counters.note(news, cluster: subject.cluster)
        switch news {
        case .result: break
        case .obstacle(let text):
            logger.warning(
                "endpoint \(subject.endpoint.name) of cluster \(subject.cluster) could not be checked: \(text)")
        case .change(let verdict): note(verdict, of: subject)
        }
    }

    private func note(_ verdict: HealthVerdict.Change, of subject: CheckedEndpoint) {
        let change = HealthChange(cluster: subject.cluster, endpoint: subject.endpoint, verdict: verdict)
        // A new endpoint that is well is no news.
        let isNews = !verdict.isFirst || verdict.state != .healthy
        logger.log(level: verdict.state == .unhealthy ? .warning : isNews ? .info : .debug, "\(change)")
        onChange(change)
    }
}

/// That an endpoint has turned ill or well.
package struct HealthChange: Sendable, CustomStringConvertible {
    package let cluster: String
    package let endpoint: Endpoint
    package let verdict: HealthVerdict.Change

    /// `endpoint 10.0.0.3:50051 of cluster users is unhealthy: NOT_SERVING (3 checks)`.
    package var description: String {
        let reason = verdict.reason.map { ": \($0)" } ?? ""
        let checks = verdict.checks == 1 ? "1 check" : "\(verdict.checks) checks"
        return "endpoint \(endpoint.name) of cluster \(cluster) is \(verdict.state)\(reason) (\(checks))"
    }
}
