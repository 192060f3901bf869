import Logging
import Policy
import Telemetry

/// Looks at a worker's load ten times a second: how late its event loop runs, and how much it has in hand. Tells the
/// ``Policy/OverloadGuard`` and has the worker refuse what is too much. Confined to its worker's loop.
final class LoadWatch {
    /// Holds the watch.
    private unowned(unsafe) let worker: Worker
    private var lags = LagWindow()
    private var timer: WheelTimer?
    /// When the next look is due.
    private var dueAt: Int64
    private var publishedLag = 0
    /// When the log was last told that requests are refused, and whether it is to be told of the end.
    private var loggedAt: Int64?
    private var owesEnd = false

    private static let interval: Int64 = 100_000_000
    /// Between two lines of the log about overload, at least.
    private static let logInterval: Int64 = 10_000_000_000

    init(worker: Worker) {
        self.worker = worker
        dueAt = worker.turn.now
    }

    /// Takes the first look, and all others when they are due.
    func start() {
        timer = WheelTimer { [unowned self] in look(now: worker.turn.now) }
        look(now: worker.turn.now)
    }

    /// - Parameter now: nanoseconds of the monotonic clock.
    func look(now: Int64) {
        lags.note(now - dueAt, now: now)
        let load = OverloadGuard.WorkerLoad(
            lag: lags.median, streams: worker.counters.read(WorkerMetric.downstreamStreamsActive.rawValue),
            bufferedBytes: worker.bufferedBytes,
            taskConnections: worker.pools.reduce(0) {
                $0 + $1.counters.read(ClusterMetric.connectionsActive.rawValue)
            })
        let judgement = worker.overloadGuard.judge(load, of: worker.index)
        worker.shed(judgement)
        log(worker.overload, now)
        publishLag()
        dueAt = now + Self.interval
        if let timer { worker.timers.arm(timer, at: dueAt) }
    }

    /// The first worker writes the gauge for all: it is the highest of them and not their sum.
    private func publishLag() {
        guard worker.index == 0 else { return }
        let lag = Int(worker.overloadGuard.highestLag)
        worker.count(.eventLoopLag, lag - publishedLag)
        publishedLag = lag
    }

    /// Says when requests begin to be refused, and when they are taken again.
    private func log(_ reason: OverloadReason?, _ now: Int64) {
        guard let reason else {
            if owesEnd { worker.logger.warning("takes all requests again") }
            owesEnd = false
            return
        }
        if owesEnd { return }
        if let loggedAt, now - loggedAt < Self.logInterval { return }
        loggedAt = now
        owesEnd = true
        worker.logger.warning("overloaded, refuses new requests: \(reason.text)")
    }
}

@available(*, unavailable)
extension LoadWatch: Sendable {}
