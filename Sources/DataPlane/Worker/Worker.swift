import HTTP2
import Logging
import NIOCore
import NIOPosix
import Policy
import Synchronization
import Telemetry

/// One event loop and everything it owns: connections, exchanges, pools, timers, counters.
///
/// Nothing of a worker is touched from another thread. It meets the rest of the process at three points only: the
/// ``Policy/Snapshot`` that is posted to its loop, the atomics of ``Policy/Endpoint`` and ``Policy/ClusterState``,
/// and its counter blocks.
final class Worker {
    let eventLoop: any EventLoop
    let turn: Turn
    let timers: WorkerTimers
    let counters: CounterBlock
    let registry: MetricsRegistry
    let blocks = HeaderBlockPool()
    let logger: Logger
    /// Share of the process's budget for held body bytes.
    let bufferBudget: Int
    /// Its number among the workers of the process, from zero.
    let index: Int
    /// Workers of the process: what is a limit of all of them and kept by each is divided by it.
    let workerCount: Int
    /// What all workers know of the load of the process.
    let overloadGuard: OverloadGuard
    /// Which new requests are refused here for overload.
    private(set) var shedding = LoadShedding()
    private var loadWatch: LoadWatch?
    var random = SplitMix64()

    private(set) var snapshot = Snapshot.empty
    /// The same, for use on the path of a request: all workers count its references in one place.
    private(set) var uncountedSnapshot = Borrowed(Snapshot.empty)
    /// Parallel to the snapshot's clusters.
    private(set) var pools: [ClusterPool] = []

    /// Open connections from callers.
    private(set) var connections: [ObjectIdentifier: DownstreamConnection] = [:]
    /// Exchanges that want an attempt at the end of this turn.
    private var ready: ContiguousArray<Exchange> = []
    /// Connections that brought requests in this turn.
    private var starting: ContiguousArray<DownstreamConnection> = []
    private var indebted: [DownstreamConnection] = []
    /// Exchanges that ended in this turn.
    private var ended: ContiguousArray<Exchange> = []
    private var spare: ContiguousArray<Exchange> = []
    /// Body bytes held between the legs, over all exchanges.
    private(set) var bufferedBytes = 0
    /// Request bytes that were sent and are held for another attempt.
    private(set) var retainedBytes = 0

    private static let spareExchangesMax = 1_024
    /// Attempts that follow others in one turn, of all exchanges.
    private static let restartsPerTurn = 4_096

    /// - Parameters:
    ///   - bufferBudget: bytes of bodies that this worker may hold.
    ///   - overloadGuard: shared by the workers; nil for a worker that refuses nothing.
    init(
        eventLoop: any EventLoop, registry: MetricsRegistry, bufferBudget: Int, logger: Logger, index: Int = 0,
        workerCount: Int = 1, overloadGuard: OverloadGuard? = nil
    ) {
        self.eventLoop = eventLoop
        self.registry = registry
        self.bufferBudget = bufferBudget
        self.logger = logger
        self.index = index
        self.workerCount = workerCount
        self.overloadGuard = overloadGuard ?? .idle(workers: workerCount)
        turn = Turn(eventLoop: eventLoop)
        timers = WorkerTimers(turn: turn)
        counters = registry.makeWorkerBlock()
        turn.beforeFlush = { [unowned self] in startReady() }
        turn.afterFlush = { [unowned self] in recycleEnded() }
    }

    @inline(__always)
    func count(_ metric: WorkerMetric, _ amount: Int = 1) {
        counters.add(metric.rawValue, amount)
    }

    // MARK: Load

    /// Why new requests are refused here, some of them or all; nil when none is.
    @inline(__always)
    var overload: OverloadReason? { shedding.reason }

    /// Begins to look at the worker's load, ten times a second. Until then no request is refused for it.
    func watchLoad() {
        let watch = LoadWatch(worker: self)
        loadWatch = watch
        watch.start()
    }

    /// Takes over what the guard thinks of the worker's load.
    func shed(_ judgement: OverloadReason?) {
        shedding.update(judgement)
    }

    // MARK: Snapshot

    /// Works from this snapshot from now on. Pools of clusters and endpoints that stay are kept; what left takes no new
    /// streams and ends with its last one.
    func apply(_ snapshot: Snapshot) {
        guard snapshot.version > self.snapshot.version else { return }
        let began = turn.now
        defer {
            count(.snapshotsApplied)
            count(.snapshotApplyTime, Int(turn.now - began))
        }
        self.snapshot = snapshot
        uncountedSnapshot = Borrowed(snapshot)
        let before = pools
        var old: [Int: ClusterPool] = [:]
        for pool in before { old[pool.cluster.state.id] = pool }
        pools = snapshot.clusters.map { cluster in
            if let pool = old.removeValue(forKey: cluster.state.id) {
                pool.update(cluster)
                return pool
            }
            return ClusterPool(cluster: cluster, worker: self)
        }
        // In an order that does not depend on chance.
        for pool in before where old[pool.cluster.state.id] != nil { pool.retire() }
        turn.schedule()
    }

    // MARK: Exchanges

    func makeExchange() -> Exchange {
        count(.downstreamStreamsActive)
        return spare.popLast() ?? Exchange(worker: self)
    }

    /// Has the exchange's next attempt made at the end of this turn.
    func enqueue(_ exchange: Exchange) {
        ready.append(exchange)
        turn.schedule()
    }

    /// Notes that a connection brought its first request of this turn.
    func noteStarts(of connection: DownstreamConnection) {
        starting.append(connection)
    }

    /// Takes an exchange that has nothing left to do.
    func retire(_ exchange: Exchange) {
        count(.downstreamStreamsActive, -1)
        ended.append(exchange)
        turn.schedule()
    }

    private func startReady() {
        var index = 0
        let now = turn.now
        // An attempt may fail at once and enqueue the next one; each is bounded by the exchange's own limits, and all
        // together by the turn, so that timers and sockets are heard whatever happens.
        let most = ready.count + Self.restartsPerTurn
        while index < min(ready.count, most) {
            let exchange = ready[index]
            index += 1
            exchange.start(now: now)
        }
        if index == ready.count {
            ready.removeAll(keepingCapacity: true)
        } else {
            ready.removeSubrange(..<index)
            turn.schedule()
        }
        // What is over a connection's limit for one turn moves up for the next.
        let connections = starting
        starting.removeAll(keepingCapacity: true)
        for connection in connections where connection.beginTurn() { starting.append(connection) }
    }

    private func recycleEnded() {
        if ended.isEmpty { return }
        for exchange in ended where spare.count < Self.spareExchangesMax {
            exchange.clear()
            spare.append(exchange)
        }
        ended.removeAll(keepingCapacity: true)
    }

    // MARK: Memory

    /// Notes body bytes that came (or went, negative).
    @inline(__always)
    func noteBuffered(_ count: Int) {
        bufferedBytes += count
        self.count(.bufferedBytes, count)
        if count < 0, !indebted.isEmpty, !isOverBufferBudget { repayIndebted() }
    }

    /// Notes request bytes that are held for another attempt only.
    @inline(__always)
    func noteRetained(_ count: Int) {
        retainedBytes += count
        self.count(.retainedBytes, count)
    }

    /// Notes a connection whose credit is held back while too much is buffered.
    func noteIndebted(_ connection: DownstreamConnection) {
        indebted.append(connection)
    }

    /// A connection that may not send any more has no event of its own that would set it going again.
    private func repayIndebted() {
        let owing = indebted
        indebted.removeAll()
        for connection in owing where !connection.repay() { indebted.append(connection) }
    }

    /// Whether more waits between the legs than may: callers get no credit until it is less.
    var isOverBufferBudget: Bool { bufferedBytes > bufferBudget }

    /// Whether that and what is held for another attempt only is more than may be: the latter is let go, and stops no
    /// caller.
    var isOverRetainBudget: Bool { bufferedBytes + retainedBytes > bufferBudget }

    // MARK: Connections

    func add(_ connection: DownstreamConnection) {
        connections[ObjectIdentifier(connection)] = connection
        overloadGuard.noteDescriptors(1)
        count(.downstreamConnections)
        count(.downstreamConnectionsActive)
    }

    func remove(_ connection: DownstreamConnection) {
        if connections.removeValue(forKey: ObjectIdentifier(connection)) != nil {
            overloadGuard.noteDescriptors(-1)
            count(.downstreamConnectionsActive, -1)
        }
    }
}

@available(*, unavailable)
extension Worker: Sendable {}
