import Policy
import Telemetry

/// One worker's connections to one endpoint, opened on demand and kept.
///
/// A stream goes on the first connection that has a slot; when none has, another connection is opened (up to the
/// limit) and the stream waits, bounded in number and time.
final class EndpointPool {
    let endpoint: Endpoint
    /// Held, also when the cluster has left the configuration: its last streams are still counted there.
    let cluster: ClusterPool
    unowned(unsafe) let worker: Worker
    private var connections: [UpstreamConnection] = []
    private let waiting = PendingQueue()
    private var pendingTimer: WheelTimer?
    /// The endpoint left the set: what runs ends, nothing begins.
    private var isRetired = false

    init(endpoint: Endpoint, cluster: ClusterPool, worker: Worker) {
        self.endpoint = endpoint
        self.cluster = cluster
        self.worker = worker
    }

    var settings: ClusterSettings { cluster.cluster.settings }

    func submit(_ exchange: Exchange) {
        for connection in connections where connection.hasSlot {
            if connection.start(exchange) { return }
        }
        guard let ticket = cluster.admitPending(exchange, to: waiting, patience: settings.pendingTimeout.nanoseconds)
        else { return }
        exchange.ticket = ticket
        openIfNeeded()
        armPendingTimer(at: ticket.deadline)
    }

    /// Opens a connection when those that are being opened are not enough for what waits.
    private func openIfNeeded() {
        if isRetired { return }
        var connecting = 0
        var usable = 0
        for connection in connections where connection.isUsable {
            usable += 1
            if connection.isConnecting { connecting += 1 }
        }
        guard usable < settings.maxConnectionsPerEndpoint,
            waiting.countAtMost > connecting * settings.maxStreamsPerConnection
        else { return }
        open()
    }

    private func open(asProbe isProbe: Bool = false) {
        let connection = UpstreamConnection(endpoint: endpoint, pool: self, isProbe: isProbe)
        connections.append(connection)
        connection.connect()
    }

    /// Tries an endpoint that could not be reached, unless another worker does.
    func probe() {
        let settings = self.settings
        let lease = settings.connectTimeout.nanoseconds + settings.settingsTimeout.nanoseconds
        guard !isRetired, endpoint.claimProbe(now: worker.turn.now, lease: lease) else { return }
        open(asProbe: true)
    }

    /// The endpoint left the set.
    func retire() {
        isRetired = true
        while let exchange = waiting.pop() { exchange.attemptWithdrawn() }
        for connection in connections { connection.finishGracefully() }
        if let pendingTimer { worker.timers.cancel(pendingTimer) }
    }

    // MARK: From connections

    /// A connection can take streams (it was made, or a slot is free again).
    func slotsAvailable(on connection: UpstreamConnection) {
        while connection.hasSlot, let exchange = waiting.pop() {
            if !connection.start(exchange) {
                // The connection takes no more after all: back to the choice of an endpoint.
                exchange.attemptWithdrawn()
                break
            }
        }
        openIfNeeded()
    }

    /// A connection takes no more streams, or is gone. What waits goes on to another connection or endpoint.
    /// - Parameter failure: why no connection could be made; nil when the connection had been made.
    func connectionEnded(_ connection: UpstreamConnection, failure: Failure?) {
        if let failure {
            let settings = self.settings
            endpoint.recordUnreachable(
                now: worker.turn.now, base: settings.connectBackoff.nanoseconds,
                ceiling: settings.connectBackoffMax.nanoseconds, isProbe: connection.isProbe)
            cluster.count(.connectFailures)
            cluster.cluster.state.reportUnreachable(endpoint, failure.message)
            if !connections.contains(where: { $0 !== connection && $0.isUsable }) {
                while let exchange = waiting.pop() { exchange.attemptUnsent(failure, endpoint: endpoint) }
            }
        } else if !isRetired, !waiting.isEmpty {
            openIfNeeded()
        }
    }

    /// A connection is closed; nothing refers to it any more.
    func remove(_ connection: UpstreamConnection) {
        connections.removeAll { $0 === connection }
    }

    // MARK: Patience

    private func armPendingTimer(at deadline: Int64) {
        let timer = pendingTimer ?? WheelTimer { [unowned self] in giveUpWaiting() }
        pendingTimer = timer
        if !timer.isArmed { worker.timers.arm(timer, at: deadline) }
    }

    private func giveUpWaiting() {
        let now = worker.turn.now
        let name = endpoint.name
        while let exchange = waiting.pop(dueBy: now) {
            exchange.attemptUnsent(
                Failure(
                    .circuitOpen,
                    "no stream slot at \(name) of cluster \(cluster.cluster.name) within "
                        + "\(settings.pendingTimeout)"),
                endpoint: endpoint)
        }
        if let next = waiting.nextDeadline { armPendingTimer(at: next) }
    }
}
