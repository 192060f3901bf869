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
    /// Nanoseconds of the monotonic clock before which no connection is opened beside those that live: the last such
    /// one failed.
    private var noExtraBefore: Int64 = 0

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
        else {
            exchange.attemptUnsent(cluster.queueIsFull, endpoint: endpoint)
            return
        }
        exchange.ticket = ticket
        openIfNeeded()
        armPendingTimer(at: ticket.deadline)
    }

    /// Opens a connection when those that are being opened are not enough for what waits.
    private func openIfNeeded() {
        // Comes with the end of every stream; nearly always nobody waits.
        if isRetired || waiting.countAtMost == 0 { return }
        var connecting = 0
        var usable = 0
        for connection in connections where connection.isUsable {
            usable += 1
            if connection.isConnecting { connecting += 1 }
        }
        guard usable < settings.maxConnectionsPerEndpoint,
            waiting.countAtMost > connecting * settings.maxStreamsPerConnection
        else { return }
        if worker.turn.now < noExtraBefore, connections.contains(where: \.isAlive) { return }
        open()
    }

    private func open(asProbe isProbe: Bool = false) {
        let connection = UpstreamConnection(endpoint: endpoint, pool: self, isProbe: isProbe)
        connections.append(connection)
        connection.connect()
    }

    /// Tries an endpoint that could not be reached by a connection without streams, unless another worker does. What
    /// the connection comes to is what the endpoint comes to; when it is made it is kept for streams.
    func probe() {
        if isRetired || connections.contains(where: { $0.isConnecting }) { return }
        if connections.contains(where: \.isAlive) {
            // No better proof than a task that answers.
            endpoint.recordReached()
            return
        }
        let settings = self.settings
        let answers: Int64 = settings.verifyService == nil ? 1 : 2
        let lease =
            settings.connectTimeout.nanoseconds + answers * settings.settingsTimeout.nanoseconds
            + Self.leaseMargin
        guard endpoint.claimProbe(now: worker.turn.now, lease: lease) else { return }
        cluster.count(.probes)
        open(asProbe: true)
    }

    /// The endpoint left the set.
    func retire() {
        isRetired = true
        while let exchange = waiting.pop() { exchange.attemptWithdrawn() }
        for connection in connections { connection.finishGracefully() }
        if let pendingTimer { worker.timers.cancel(pendingTimer) }
    }

    /// Timers fire late; a try that is about to end is no reason for another one.
    private static let leaseMargin: Int64 = 100_000_000

    /// Has connections end with their last stream: new ones are to be made by other rules.
    func renew() {
        for connection in connections { connection.finishGracefully() }
        openIfNeeded()
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

    /// A connection that had been made takes no more streams, or is gone. What waits goes to another one.
    func connectionEnded(_ connection: UpstreamConnection) {
        if !isRetired, !waiting.isEmpty { openIfNeeded() }
    }

    /// No connection could be made. What waits goes to another connection or endpoint.
    /// - Parameters:
    ///   - failure: what a caller hears if nobody else is left.
    ///   - reason: the same without names, for discovery; nil when it says nothing about the task.
    func connectionFailed(_ connection: UpstreamConnection, _ failure: Failure, reason: String?) {
        cluster.count(.connectFailures)
        if connections.contains(where: { $0 !== connection && $0.isAlive }) {
            // A task that answers on another connection lives, whatever it thinks of one more.
            noExtraBefore = worker.turn.now + settings.connectBackoff.nanoseconds
            if connection.isProbe { endpoint.recordReached() }
        } else {
            recordUnreachable(reason, isProbe: connection.isProbe)
        }
        sendAway(from: connection, failure)
    }

    /// The task does not acknowledge what it is sent on a connection. What waits goes to another connection or
    /// endpoint. Discovery is not told yet: it may be a hiccup of this host's network.
    func connectionStalled(_ connection: UpstreamConnection, _ failure: Failure) {
        // Where it is known already, each of several connections sees the same incident.
        if !endpoint.isUnreachable { recordUnreachable(nil, isProbe: false) }
        sendAway(from: connection, failure)
    }

    /// A connection is given up because the task went dark.
    func connectionWentDark(reason: String) {
        if !endpoint.isUnreachable { recordUnreachable(nil, isProbe: false) }
        cluster.cluster.state.reportUnreachable(endpoint, reason)
    }

    private func recordUnreachable(_ reason: String?, isProbe: Bool) {
        let settings = self.settings
        let isNews = endpoint.recordUnreachable(
            now: worker.turn.now, base: settings.connectBackoff.nanoseconds,
            ceiling: settings.connectBackoffMax.nanoseconds, isProbe: isProbe)
        if isNews, let reason { cluster.cluster.state.reportUnreachable(endpoint, reason) }
    }

    private func sendAway(from connection: UpstreamConnection, _ failure: Failure) {
        if connections.contains(where: { $0 !== connection && $0.isUsable }) { return }
        while let exchange = waiting.pop() { exchange.attemptUnsent(failure, endpoint: endpoint) }
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

    /// Those whose patience has ended are sent to another endpoint: nothing of them was written.
    private func giveUpWaiting() {
        let now = worker.turn.now
        let failure = patienceEnded
        while let exchange = waiting.pop(dueBy: now) { exchange.attemptUnsent(failure, endpoint: endpoint) }
        if let next = waiting.nextDeadline { armPendingTimer(at: next) }
    }

    private var patienceEnded: Failure {
        let place = "\(endpoint.name) of cluster \(cluster.cluster.name) within \(settings.pendingTimeout)"
        // While no connection is made the task is what is missing, and not a slot.
        return connections.contains { $0.isUsable && !$0.isConnecting }
            ? Failure(.circuitOpen, "no stream slot at \(place)")
            : Failure(.connectFailure, "no connection to \(place)")
    }
}
