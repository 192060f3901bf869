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
    /// Nanoseconds of the monotonic clock before which no connection is opened besides one that can be used: the last
    /// such one failed.
    private var nextExtraAt: Int64 = 0
    /// Whether this pool has marked the endpoint because of a stall that discovery was not told about.
    private var owesReport = false

    init(endpoint: Endpoint, cluster: ClusterPool, worker: Worker) {
        self.endpoint = endpoint
        self.cluster = cluster
        self.worker = worker
    }

    var settings: ClusterSettings { cluster.cluster.settings }

    /// Whether a connection is there, or on its way, that takes streams.
    var hasUsableConnection: Bool { connections.contains(where: \.isUsable) }

    var hasDrainingConnection: Bool { connections.contains { $0.state == .draining } }

    func submit(_ attempt: Attempt) {
        for connection in connections where connection.hasSlot {
            if connection.start(attempt) { return }
        }
        guard let ticket = cluster.admitPending(attempt, to: waiting, patience: settings.pendingTimeout.nanoseconds)
        else {
            // Calls to come must find a connection all the same.
            let failure = cluster.queueIsFull
            if !isRetired, !hasUsableConnection { open() }
            attempt.unsent(failure, endpoint: endpoint)
            return
        }
        attempt.wait(with: ticket)
        openIfNeeded()
        armPendingTimer(at: ticket.deadline)
    }

    /// Opens a connection when those that are being opened are not enough for what waits. Runs at every stream's end.
    private func openIfNeeded() {
        if isRetired || waiting.countAtMost == 0 { return }
        var connecting = 0
        var usable = 0
        for connection in connections where connection.isUsable {
            usable += 1
            if connection.isConnecting { connecting += 1 }
        }
        guard usable < settings.maxConnectionsPerEndpoint,
            waiting.countAtMost > connecting * settings.maxStreamsPerConnection,
            usable == 0 || worker.turn.now >= nextExtraAt
        else { return }
        open()
    }

    private func open(asProbe isProbe: Bool = false) {
        let isOnly = { [cluster] in !cluster.hasUsableConnection }
        guard let place = CircuitBreaker.admitConnection(to: cluster.cluster, isOnly: isOnly) else {
            return noConnectionLeft()
        }
        let connection = UpstreamConnection(endpoint: endpoint, pool: self, place: place, isProbe: isProbe)
        connections.append(connection)
        connection.connect()
    }

    /// The cluster has as many connections as it may: what cannot wait for one of this endpoint goes elsewhere.
    private func noConnectionLeft() {
        cluster.count(.connectionsDenied)
        if connections.contains(where: \.isUsable) { return }
        if endpoint.isUsable { cluster.giveUpIdle() }
        let failure = CircuitBreaker.connectionRefusal(of: cluster.cluster, random: &worker.random)
        while let attempt = waiting.pop() { attempt.unsent(failure, endpoint: endpoint, isOutOfConnections: true) }
    }

    /// - Returns: whether there was a connection without streams.
    func closeIdle() -> Bool {
        guard let connection = connections.first(where: \.isAtRest) else { return false }
        connection.finishGracefully()
        return true
    }

    /// Tries an endpoint that could not be reached by a connection without streams, unless another worker does. What
    /// the connection comes to is what the endpoint comes to; when it is made it is kept for streams.
    func probe() {
        if isRetired { return }
        let now = worker.turn.now
        if connections.contains(where: { $0.isHeard(now: now) }) {
            endpoint.recordReached()
            return
        }
        if connections.contains(where: { $0.isConnecting }) { return }
        let settings = self.settings
        let answers: Int64 = settings.verifyService == nil ? 1 : 2
        let lease = settings.connectTimeout.nanoseconds + answers * settings.settingsTimeout.nanoseconds
        // At the limit of connections the right is spent for nothing, which keeps every pick from trying again.
        guard endpoint.claimProbe(now: now, lease: lease + Self.leaseMargin) else { return }
        cluster.count(.probes)
        open(asProbe: true)
    }

    /// Nanoseconds by which a probe's own timers may be late.
    private static let leaseMargin: Int64 = 100_000_000

    /// What the connections have proven is not what the cluster asks for any more: they end with their last streams,
    /// and others are made.
    func renew() {
        for connection in connections { connection.finishGracefully() }
        openIfNeeded()
    }

    /// The endpoint left the set.
    func retire() {
        isRetired = true
        while let attempt = waiting.pop() { attempt.withdrawn() }
        for connection in connections { connection.finishGracefully() }
        if let pendingTimer { worker.timers.cancel(pendingTimer) }
    }

    // MARK: From connections

    /// A connection can take streams (it was made, or a slot is free again).
    func slotsAvailable(on connection: UpstreamConnection) {
        while connection.hasSlot, let attempt = waiting.pop() {
            if !connection.start(attempt) {
                // The connection takes no more after all: back to the choice of an endpoint.
                attempt.withdrawn()
                break
            }
        }
        openIfNeeded()
    }

    /// A connection that had been made takes no more streams, or is gone. What waits goes to another one.
    func connectionEnded(_ connection: UpstreamConnection) {
        if !isRetired, !waiting.isEmpty { openIfNeeded() }
    }

    /// The task is about to close a connection that is in use: the next stream shall find another one made.
    func replace(_ connection: UpstreamConnection) {
        if isRetired || connections.contains(where: { $0 !== connection && $0.isUsable }) { return }
        cluster.count(.replacements)
        open()
    }

    /// No connection could be made. What waits goes to another connection or endpoint. While another connection of
    /// this pool lives, that one more could not be made says nothing about the endpoint.
    /// - Parameters:
    ///   - failure: what a caller hears if nobody else is left.
    ///   - reason: the same without names, for discovery; nil when it says nothing about the task.
    func connectionFailed(_ connection: UpstreamConnection, _ failure: Failure, reason: String?) {
        cluster.count(.connectFailures)
        let now = worker.turn.now
        // A connection at rest may be one to a lost host, so that a probe's failure outweighs it.
        let isOutweighed = connections.contains {
            $0 !== connection && (connection.isProbe ? $0.isHeard(now: now) : $0.isUndoubted(now: now))
        }
        if isOutweighed {
            nextExtraAt = now + settings.connectBackoff.nanoseconds
        } else {
            let isNews = recordUnreachable(now: now, isProbe: connection.isProbe)
            // One failure of the task, however many streams waited for the connection.
            if isNews, !connection.isProbe { cluster.judge(.connectFailure, of: endpoint) }
            if let reason, isNews || owesReport { report(reason) }
        }
        sendAway(from: connection, failure)
    }

    /// The task does not acknowledge what it is sent on a connection. What waits goes to another connection or
    /// endpoint. A second of that is enough to pass over the endpoint, and not enough to tell discovery.
    func connectionStalled(_ connection: UpstreamConnection, _ failure: Failure) {
        // Where it is known already, each of several connections sees the same incident.
        if !endpoint.isUnreachable { owesReport = recordUnreachable(now: worker.turn.now, isProbe: false) }
        sendAway(from: connection, failure)
    }

    /// A stalled connection is given up.
    func connectionWentDark(_ connection: UpstreamConnection, reason: String) {
        let now = worker.turn.now
        let isHeard = connections.contains { $0 !== connection && $0.isHeard(now: now) }
        if owesReport, endpoint.isUnreachable, !isHeard { report(reason) }
    }

    private func recordUnreachable(now: Int64, isProbe: Bool) -> Bool {
        let settings = self.settings
        return endpoint.recordUnreachable(
            now: now, base: settings.connectBackoff.nanoseconds,
            ceiling: settings.connectBackoffMax.nanoseconds, isProbe: isProbe)
    }

    private func report(_ reason: String) {
        owesReport = false
        cluster.cluster.state.reportUnreachable(endpoint, reason)
    }

    private func sendAway(from connection: UpstreamConnection, _ failure: Failure) {
        if connections.contains(where: { $0 !== connection && $0.isUsable }) { return }
        while let attempt = waiting.pop() { attempt.unsent(failure, endpoint: endpoint) }
    }

    /// A connection is closed; nothing refers to it any more.
    func remove(_ connection: UpstreamConnection) {
        guard let index = connections.firstIndex(where: { $0 === connection }) else { return }
        connections.remove(at: index)
        CircuitBreaker.connectionEnded(connection.place, of: cluster.cluster.state)
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
        while let attempt = waiting.pop(dueBy: now) { attempt.unsent(failure, endpoint: endpoint) }
        if let next = waiting.nextDeadline { armPendingTimer(at: next) }
    }

    private var patienceEnded: Failure {
        let patience = settings.pendingTimeout.configurationText
        let place = "\(endpoint.name) of cluster \(cluster.cluster.name) within \(patience)"
        // While no connection is made the task is what is missing, and not a slot.
        return connections.contains { $0.isUsable && !$0.isConnecting }
            ? .circuitOpen(.pending, "no stream slot at \(place)")
            : Failure(.connectFailure, "no connection to \(place)")
    }
}
