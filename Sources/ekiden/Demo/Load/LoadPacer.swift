import DataPlane
import HTTP2
import NIOCore
import Policy

/// Begins the calls of the load when they are due. Confined to its loop.
final class LoadPacer {
    private let target: SocketAddress
    private let authority: String
    private let turn: Turn
    private var unary: Beat
    /// Uneven: in step with the calls, streams would meet the same task in every round of the balancer.
    private var streams = Beat(interval: 100_000_000, spread: 0.5)
    private var connections: [LoadConnection] = []
    private var cursor = 0
    private var sample = LoadSample()
    private(set) var openCalls = 0
    private var isStopped = true

    private static let connectionCount = 2
    private static let reconnectPause = TimeAmount.milliseconds(100)

    init(target: SocketAddress, authority: String, rps: Int, turn: Turn) {
        self.target = target
        self.authority = authority
        self.turn = turn
        unary = Beat(interval: 1_000_000_000 / Int64(rps))
    }

    // MARK: Connections

    func connect() -> EventLoopFuture<Void> {
        let connects = (0..<Self.connectionCount).map { _ in open() }
        return EventLoopFuture.andAllSucceed(connects, on: turn.eventLoop)
    }

    private func open() -> EventLoopFuture<Void> {
        let connection = LoadConnection(
            authority: authority, turn: turn,
            onEnd: { [weak self] in self?.end($0) },
            onClose: { [weak self] in self?.replace($0) })
        let bound = NIOLoopBound((self, connection), eventLoop: turn.eventLoop)
        return connection.connect(to: target).map {
            let (pacer, connection) = bound.value
            pacer.connections.append(connection)
        }
    }

    /// A connection is gone: the mesh ended it, and the load comes again as any client does.
    private func replace(_ connection: LoadConnection) {
        connections.removeAll { $0 === connection }
        reconnectLater()
    }

    private func reconnectLater() {
        let bound = NIOLoopBound(self, eventLoop: turn.eventLoop)
        turn.eventLoop.scheduleTask(in: Self.reconnectPause) {
            if bound.value.isStopped { return }
            bound.value.open().whenFailure { _ in bound.value.reconnectLater() }
        }
    }

    func disconnect() {
        for connection in connections { connection.close() }
    }

    // MARK: Calls

    func begin() {
        isStopped = false
        unary.start(at: turn.now)
        streams.start(at: turn.now)
        run()
    }

    func stop() {
        isStopped = true
    }

    func takeSample() -> LoadSample {
        defer { sample = LoadSample() }
        return sample
    }

    /// Begins what is due and comes back when the next call is.
    private func run() {
        if isStopped { return }
        let now = turn.now
        while let dueAt = unary.next(now: now) { start(LoadCall(.unary, dueAt: dueAt)) }
        while let dueAt = streams.next(now: now) { start(LoadCall(.stream, dueAt: dueAt)) }
        let bound = NIOLoopBound(self, eventLoop: turn.eventLoop)
        turn.eventLoop.scheduleTask(in: .nanoseconds(min(unary.dueAt, streams.dueAt) - now)) { bound.value.run() }
    }

    private func start(_ call: LoadCall) {
        openCalls += 1
        cursor += 1
        for offset in 0..<connections.count {
            if connections[(cursor + offset) % connections.count].start(call) { return }
        }
        call.fail(.unavailable, "no connection to the mesh takes the call")
        end(call)
    }

    private func end(_ call: LoadCall) {
        openCalls -= 1
        sample.record(call, now: turn.now)
    }

    /// Moments in nanoseconds of the monotonic clock.
    private struct Beat {
        let interval: Int64
        /// By how much of the interval one may be shorter or longer.
        let spread: Double
        private(set) var dueAt: Int64 = 0

        /// After a sleep of the whole machine nobody wants the missed calls of the night.
        private static let lagMax: Int64 = 1_000_000_000

        init(interval: Int64, spread: Double = 0) {
            self.interval = interval
            self.spread = spread
        }

        mutating func start(at now: Int64) {
            dueAt = now
        }

        /// The next moment that has come, or nil.
        mutating func next(now: Int64) -> Int64? {
            if now - dueAt > Self.lagMax { dueAt = now }
            guard dueAt <= now else { return nil }
            defer { dueAt += Int64(Double(interval) * .random(in: (1 - spread)...(1 + spread))) }
            return dueAt
        }
    }
}
