import HTTP2
import NIOCore
import NIOPosix
import Policy
import Synchronization
import Telemetry
import Testing

@testable import DataPlane

@Suite("Relay: deadlines")
struct RelayDeadlineTests {
    /// A task that answers nobody.
    private static func silent() async throws -> ScriptedTask {
        try await ScriptedTask.start { _, _ in }
    }

    @Test(
        "what is no timeout goes on unchanged, arms nothing and is counted",
        arguments: ["123456789m", "5", "5x", "-5S", "1.5S", ""])
    func nonsense(value: String) async throws {
        let task = try await ScriptedTask.start()
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connect()
            let answer = try await caller.call(fields: Caller.grpc + [("grpc-timeout", value)])
            #expect(answer.grpcStatus == "0")
            #expect(task.requests.first?.fields["grpc-timeout"] == value)
            #expect(bench.count(.timeoutsNotUnderstood) == 1)
            await caller.close()
        }
        await task.stop()
    }

    @Test("the route's time limits: for callers without one, and over those that want more")
    func route() async throws {
        let task = try await Self.silent()
        var settings = RouteSettings()
        settings.timeout = .after(.milliseconds(600))
        settings.maxDeadline = .milliseconds(1_200)
        try await RelayBench.run(endpoints: [task.endpoint], route: settings) { bench in
            let caller = try await bench.connect()
            for (sent, least) in [(nil, 600), ("400m", 400), ("1000m", 1_000), ("99H", 1_200)] as [(String?, Int)] {
                let start = ContinuousClock.now
                let fields = sent.map { Caller.grpc + [("grpc-timeout", $0)] } ?? Caller.grpc
                let answer = try await caller.call(fields: fields)
                #expect(answer.grpcStatus == "4", "\(answer.grpcMessage)")
                #expect(ContinuousClock.now - start >= .milliseconds(least))
                // The task hears how long it has.
                let told = Array((task.requests.last?.fields["grpc-timeout"] ?? "").utf8)
                let left = GRPCTimeout.nanoseconds(told.span) ?? .max
                #expect(left <= Int64(least) * 1_000_000 && left > 0)
            }
            let areReset = try await eventually { task.requests.allSatisfy { $0.reset == .cancel } }
            #expect(areReset)
            await caller.close()
        }
        await task.stop()
    }

    @Test("each attempt hears what is left, which is less for a later one")
    func shrinks() async throws {
        let task = try await ScriptedTask.start { request, moment in
            guard moment == .end else { return }
            request.sendTrailersOnly(
                ScriptedTask.Incoming.head + [("grpc-status", "14"), ("grpc-retry-pushback-ms", "30")])
        }
        var settings = RouteSettings()
        settings.retry.grpcStatuses = [.unavailable]
        try await RelayBench.run(endpoints: [task.endpoint], route: settings) { bench in
            let caller = try await bench.connect()
            _ = try await caller.call(fields: Caller.grpc + [("grpc-timeout", "10S")])
            let left = task.requests.map {
                GRPCTimeout.nanoseconds(Array(($0.fields["grpc-timeout"] ?? "").utf8).span) ?? 0
            }
            #expect(left.count == 3)
            for (first, second) in zip(left, left.dropFirst()) { #expect(first - second >= 30_000_000) }
            await caller.close()
        }
        await task.stop()
    }

    /// Sends a byte for each piece that comes, and no end.
    private static let answersPieces: ScriptedTask.Script = { request, moment in
        switch moment {
        case .head: request.sendHead()
        case .data: request.send([1])
        case .end: break
        }
    }

    @Test("an exchange on which nothing moves ends; one on which something does goes on")
    func idle() async throws {
        let task = try await ScriptedTask.start(Self.answersPieces)
        var settings = RouteSettings()
        settings.idleTimeout = .milliseconds(500)
        try await RelayBench.run(endpoints: [task.endpoint], route: settings) { bench in
            let caller = try await bench.connect()
            let start = ContinuousClock.now
            let call = try await caller.open()
            for step in 1...4 {
                try await Task.sleep(until: start + .milliseconds(100 * step))
                try await call.send([1])
            }
            let answer = try await call.answer()
            #expect(ContinuousClock.now - start >= .milliseconds(900))
            #expect(answer.grpcStatus == "4")
            #expect(bench.count(.idleTimeouts) == 1)
            await caller.close()
        }
        await task.stop()
    }

    @Test("nothing moves for as long as the route says, and no longer")
    func idleTime() async throws {
        let task = try await ScriptedTask.start(Self.answersPieces)
        var settings = RouteSettings()
        settings.idleTimeout = .seconds(2)
        try await RelayBench.run(endpoints: [task.endpoint], route: settings) { bench in
            let caller = try await bench.connect()
            let start = ContinuousClock.now
            let call = try await caller.open(body: [1])
            try await call.received(1)
            let moved = ContinuousClock.now
            #expect(try await call.answer().grpcStatus == "4")
            #expect(ContinuousClock.now - start >= .milliseconds(1_990))
            #expect(ContinuousClock.now - moved < .milliseconds(3_800))
            await caller.close()
        }
        await task.stop()
    }

    enum Limit: CaseIterable {
        case grpcTimeout, timeout, maxDeadline, idleTimeout
    }

    @Test(
        "a response that is complete here is under the time limits until its caller has it", arguments: Limit.allCases)
    func completeButNotTaken(limit: Limit) async throws {
        let task = try await ScriptedTask.start()
        var settings = RouteSettings()
        switch limit {
        case .grpcTimeout: break
        case .timeout: settings.timeout = .after(.milliseconds(400))
        case .maxDeadline: settings.maxDeadline = .milliseconds(400)
        case .idleTimeout: settings.idleTimeout = .milliseconds(400)
        }
        try await RelayBench.run(endpoints: [task.endpoint], route: settings) { bench in
            let caller = try await bench.connectDeaf()
            let fields = limit == .grpcTimeout ? Caller.grpc + [("grpc-timeout", "400m")] : Caller.grpc
            let start = ContinuousClock.now
            let answer = try await caller.call(fields: fields, body: [UInt8](repeating: 1, count: 5_000))
            #expect(ContinuousClock.now - start >= .milliseconds(390))
            #expect(answer.grpcStatus == "4" && answer.body == [])
            #expect(bench.count(grpcStatus: 4) == 1 && bench.count(grpcStatus: 0) == 0)
            #expect(bench.count(localReply: .deadlineExceeded) == 1)
            // The task did its work.
            #expect(task.endpoint.failuresTotal.load(ordering: .relaxed) == 0)
            await caller.close()
        }
        await task.stop()
    }

    @Test("at the deadline a status that waits for the caller's window goes without it")
    func statusWithoutWindow() async throws {
        let task = try await ScriptedTask.start { request, moment in
            guard moment == .end else { return }
            request.sendHead()
            // Apart from the head, so that the response's body has begun.
            request.later(.milliseconds(50)) { $0.end([("grpc-status", "9")]) }
        }
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connectDeaf()
            let answer = try await caller.call(fields: Caller.grpc + [("grpc-timeout", "500m")])
            #expect(answer.grpcStatus == "9" && answer.isComplete)
            #expect(bench.count(grpcStatus: 9) == 1)
            await caller.close()
        }
        await task.stop()
    }

    @Test("a caller that takes nothing hears at its deadline that the task was lost before")
    func lostAndNotTaken() async throws {
        let task = try await ScriptedTask.start { request, moment in
            guard moment == .end else { return }
            request.sendHead()
            request.send([UInt8](repeating: 1, count: 5_000))
            request.later(.milliseconds(50)) { $0.closeConnection() }
        }
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connectDeaf()
            let answer = try await caller.call(fields: Caller.grpc + [("grpc-timeout", "500m")])
            #expect(answer.grpcStatus == "14" && answer.reason == "connection_lost" && answer.body == [])
            #expect(bench.count(grpcStatus: 14) == 1)
            await caller.close()
        }
        await task.stop()
    }

    @Test("a response that its caller leaves with bytes of it untaken counts as cancelled")
    func leftUntaken() async throws {
        let task = try await ScriptedTask.start()
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connectDeaf()
            let call = try await caller.open(body: [UInt8](repeating: 1, count: 5_000), finish: true)
            try await call.head()
            let isComplete = try await eventually { task.endpoint.activeStreams.load(ordering: .relaxed) == 0 }
            #expect(isComplete)
            try await call.cancel()
            let isCounted = try await eventually { bench.count(grpcStatus: 1) == 1 }
            #expect(isCounted && bench.count(grpcStatus: 0) == 0)
            await caller.close()
        }
        await task.stop()
    }

    /// Timers of one loop and how late each fired.
    private final class Timers {
        let turn: Turn
        let wheel: WorkerTimers
        var timers: [WheelTimer] = []
        var late: [Int64] = []

        init(loop: any EventLoop) {
            turn = Turn(eventLoop: loop)
            wheel = WorkerTimers(turn: turn)
        }
    }

    @Test("ten thousand deadlines at a time are kept to a few milliseconds, behind one timer of the loop")
    func tenThousand() async throws {
        let count = 10_000
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let done = loop.makePromise(of: [Int64].self)
        loop.execute {
            let bench = Timers(loop: loop)
            let start = bench.turn.now
            for index in 0..<count {
                let due = start + 300_000_000 + Int64(index) * 50_000
                let timer = WheelTimer {
                    bench.late.append(bench.turn.now - due)
                    guard bench.late.count == count else { return }
                    done.succeed(bench.late.sorted())
                    // What is left of the cycle.
                    loop.execute { bench.timers = [] }
                }
                bench.timers.append(timer)
                bench.wheel.arm(timer, at: due)
            }
        }
        let late = try await done.futureResult.get()
        #expect(late[0] >= 0)
        // The machine may stop for a while; the middle of them tells what the wheel does.
        #expect(late[count / 2] < 4_000_000, "the middle is \(late[count / 2]) ns late")
        try await group.shutdownGracefully()
    }
}
