import Policy
import Telemetry

/// One worker's connections to a cluster: a pool per endpoint, and the streams that wait for the first endpoint.
final class ClusterPool {
    /// Lives as long as the process.
    unowned(unsafe) let worker: Worker
    /// The membership as of the worker's snapshot.
    private(set) var cluster: Cluster
    /// The same, for use on the path of a request: all workers count its references in one place.
    private(set) var uncountedCluster: Borrowed<Cluster>
    let counters: CounterBlock
    /// Parallel to the cluster's endpoints.
    private var endpoints: [EndpointPool] = []
    private let waiting = PendingQueue()
    private var noEndpointTimer: WheelTimer?
    /// Streams of this worker that wait for a slot on any endpoint, or for an endpoint.
    private(set) var pendingCount = 0
    var budget: RetryBudget
    /// Follows the cluster's latency, where the cluster asks for it.
    var adaptive: AdaptiveLimit?
    /// The limit that the metric shows.
    var shownLimit = 0
    /// Exchanges of this worker without an answer; kept only where ``adaptive`` asks.
    var queue = QueuedExchanges()
    var sweepTimer: WheelTimer?

    init(cluster: Cluster, worker: Worker) {
        self.worker = worker
        self.cluster = cluster
        uncountedCluster = Borrowed(cluster)
        counters = worker.registry.makeClusterBlock(cluster: cluster.name)
        budget = RetryBudget(cluster.settings.retryBudget, workers: worker.workerCount)
        adaptive = makeAdaptiveLimit()
        endpoints = cluster.endpoints.map { EndpointPool(endpoint: $0, cluster: self, worker: worker) }
        armSweep()
        showLimit()
    }

    @inline(__always)
    func count(_ metric: ClusterMetric, _ amount: Int = 1) {
        counters.add(metric.rawValue, amount)
    }

    /// Takes over a new membership. Pools of endpoints that stay are kept; the others end with their last stream.
    func update(_ cluster: Cluster) {
        if cluster === self.cluster { return }
        let asksAnew = cluster.settings.verifyService != self.cluster.settings.verifyService
        if cluster.settings.retryBudget != self.cluster.settings.retryBudget {
            budget = RetryBudget(cluster.settings.retryBudget, workers: worker.workerCount)
        }
        let judgesAnew = cluster.settings.outlier != self.cluster.settings.outlier
        let hasNewLimit = cluster.settings.breakers.adaptive != self.cluster.settings.breakers.adaptive
        self.cluster = cluster
        uncountedCluster = Borrowed(cluster)
        if hasNewLimit {
            adaptive = makeAdaptiveLimit()
            showLimit()
        }
        if judgesAnew { adaptSweep() }
        let before = endpoints
        var old: [ObjectIdentifier: EndpointPool] = [:]
        for pool in before { old[ObjectIdentifier(pool.endpoint)] = pool }
        endpoints = cluster.endpoints.map { endpoint in
            old.removeValue(forKey: ObjectIdentifier(endpoint))
                ?? EndpointPool(endpoint: endpoint, cluster: self, worker: worker)
        }
        for pool in before where old[ObjectIdentifier(pool.endpoint)] != nil { pool.retire() }
        if asksAnew { for pool in endpoints { pool.renew() } }
        if !cluster.endpoints.isEmpty {
            while let attempt = waiting.pop() { attempt.withdrawn() }
        }
    }

    /// The cluster left the configuration.
    func retire() {
        if let noEndpointTimer { worker.timers.cancel(noEndpointTimer) }
        if let sweepTimer { worker.timers.cancel(sweepTimer) }
        adaptive = nil
        showLimit()
        for pool in endpoints { pool.retire() }
        endpoints = []
        while let attempt = waiting.pop() { attempt.unsent(noEndpoint, endpoint: nil) }
    }

    /// Puts the attempt on a connection of this endpoint, or into its queue.
    func submit(_ attempt: Attempt, to pick: Balancer.Pick) {
        guard pick.index < endpoints.count else {
            attempt.unsent(Failure(.noEndpoint, "cluster \(cluster.name) has left the configuration"), endpoint: nil)
            return
        }
        if pick.isTrial { count(.ejectionTrials) }
        let pool = endpoints[pick.index]
        attempt.aim(
            at: pool.endpoint, isTrial: pick.isTrial,
            isCounted: uncountedCluster.with { $0.settings.breakers.maxRequestsPerEndpoint != nil })
        pool.submit(attempt)
    }

    /// Whether this worker has a connection to any endpoint that takes streams.
    var hasUsableConnection: Bool { endpoints.contains(where: \.hasUsableConnection) }

    /// Gives up a connection at rest of an endpoint that is passed over, so that another endpoint may have its place.
    func giveUpIdle() {
        // One that leaves already makes room enough.
        if endpoints.contains(where: \.hasDrainingConnection) { return }
        for pool in endpoints where !pool.endpoint.isUsable && pool.closeIdle() { return }
    }

    /// Has an unreachable endpoint tried again, by a connection without streams.
    func probe(_ index: Int) {
        if index < endpoints.count { endpoints[index].probe() }
    }

    /// Has the attempt wait until discovery finds an endpoint.
    func waitForEndpoint(_ attempt: Attempt) {
        let patience = cluster.settings.noEndpointWait.nanoseconds
        cluster.state.requestRefresh()
        guard patience > 0 else {
            attempt.unsent(noEndpoint, endpoint: nil)
            return
        }
        guard let ticket = admitPending(attempt, to: waiting, patience: patience) else {
            attempt.unsent(queueIsFull, endpoint: nil)
            return
        }
        attempt.wait(with: ticket)
        let timer = noEndpointTimer ?? WheelTimer { [unowned self] in giveUpWaiting() }
        noEndpointTimer = timer
        if !timer.isArmed { worker.timers.arm(timer, at: ticket.deadline) }
    }

    private func giveUpWaiting() {
        let now = worker.turn.now
        while let attempt = waiting.pop(dueBy: now) { attempt.unsent(noEndpoint, endpoint: nil) }
        if let next = waiting.nextDeadline, let noEndpointTimer { worker.timers.arm(noEndpointTimer, at: next) }
    }

    /// A place in a queue of this cluster, or nil when there is none.
    func admitPending(_ attempt: Attempt, to queue: PendingQueue, patience: Int64) -> PendingTicket? {
        guard pendingCount < cluster.settings.maxPendingStreams else { return nil }
        return queue.append(attempt, cluster: self, deadline: worker.turn.now + patience)
    }

    /// Why a stream found no place in a queue.
    var queueIsFull: Failure {
        .circuitOpen(
            .pending, "cluster \(cluster.name) is at its max_pending: \(pendingCount) streams wait already")
    }

    func notePending(_ change: Int) {
        pendingCount += change
        count(.pendingStreams, change)
    }

    private var noEndpoint: Failure {
        switch cluster.resolution {
        case .pending: Failure(.noEndpoint, "no endpoint of cluster \(cluster.name) is known yet")
        case .resolved: Failure(.noEndpoint, "cluster \(cluster.name) has no endpoint")
        case .failed(let why): Failure(.noEndpoint, "cluster \(cluster.name) has no endpoint: \(why)")
        }
    }
}
