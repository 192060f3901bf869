import HTTP2
import Policy
import Synchronization
import Telemetry
import Testing

@testable import DataPlane

@Suite("Relay: retries")
struct RelayRetryTests {
    /// Counts the requests of all tasks that share it.
    private final class Tally: Sendable {
        private let requests = Atomic<Int>(0)
        var next: Int { requests.add(1, ordering: .relaxed).newValue }
        var count: Int { requests.load(ordering: .relaxed) }
    }

    /// How an attempt goes wrong.
    enum Fault: Sendable, CaseIterable {
        case trailersOnly, trailers, afterMessage, reset, lost, http503, silence
    }

    private static let unavailable: Fields = [
        (":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "14"), ("grpc-message", "busy"),
    ]

    private static func fail(_ request: ScriptedTask.Incoming, _ fault: Fault, _ more: Fields = []) {
        switch fault {
        case .trailersOnly: request.sendTrailersOnly(unavailable + more)
        case .trailers:
            request.sendHead()
            request.end([("grpc-status", "14")] + more)
        case .afterMessage: request.respond(body: [7], trailers: [("grpc-status", "14")])
        case .reset: request.reset(.internalError)
        case .lost: request.closeConnection()
        case .http503: request.sendTrailersOnly([(":status", "503"), ("content-type", "text/html")])
        case .silence: break
        }
    }

    /// Tasks that go wrong for the first requests, over all of them, and echo the others.
    private static func tasks(_ count: Int, failures: Int, _ fault: Fault, more: Fields = []) async throws
        -> (tasks: [ScriptedTask], tally: @Sendable () -> Int)
    {
        let tally = Tally()
        var tasks: [ScriptedTask] = []
        for _ in 0..<count {
            tasks.append(
                try await ScriptedTask.start { request, moment in
                    guard moment == .end else { return }
                    if tally.next <= failures {
                        fail(request, fault, more)
                    } else {
                        ScriptedTask.echo(request, moment)
                    }
                })
        }
        return (tasks, { tally.count })
    }

    private static func retrying(_ change: (inout RouteSettings) -> Void = { _ in }) -> RouteSettings {
        var settings = RouteSettings()
        settings.retry.grpcStatuses = [.unavailable]
        settings.retry.httpStatuses = [503]
        settings.retry.backoffBase = .milliseconds(2)
        change(&settings)
        return settings
    }

    /// What a policy makes of one failed attempt.
    struct Row: Sendable {
        let fault: Fault
        let policy: String
        let settings: RouteSettings
        let status: String?
        let tries: Int
    }

    private static var rows: [Row] {
        let plain = RouteSettings()
        let idempotent = retrying {
            $0.retry.grpcStatuses = []
            $0.retry.httpStatuses = []
            $0.idempotent = .all
        }
        let resets = retrying { $0.retry.conditions = [.reset] }
        let named = retrying {
            $0.retry.grpcStatuses = []
            $0.idempotent = .methods(["Say"])
        }
        return [
            Row(fault: .trailersOnly, policy: "none", settings: plain, status: "14", tries: 1),
            Row(fault: .trailersOnly, policy: "unavailable", settings: retrying(), status: "0", tries: 2),
            Row(fault: .trailersOnly, policy: "idempotent", settings: idempotent, status: "14", tries: 1),
            Row(fault: .trailers, policy: "none", settings: plain, status: "14", tries: 1),
            Row(fault: .trailers, policy: "unavailable", settings: retrying(), status: "0", tries: 2),
            Row(fault: .afterMessage, policy: "unavailable", settings: retrying(), status: "14", tries: 1),
            Row(fault: .reset, policy: "none", settings: plain, status: nil, tries: 1),
            Row(fault: .reset, policy: "unavailable", settings: retrying(), status: nil, tries: 1),
            Row(fault: .reset, policy: "reset", settings: resets, status: "0", tries: 2),
            Row(fault: .reset, policy: "idempotent", settings: idempotent, status: "0", tries: 2),
            Row(fault: .lost, policy: "none", settings: plain, status: "14", tries: 1),
            Row(fault: .lost, policy: "reset", settings: resets, status: "14", tries: 1),
            Row(fault: .lost, policy: "idempotent", settings: idempotent, status: "0", tries: 2),
            Row(fault: .lost, policy: "idempotent method", settings: named, status: "0", tries: 2),
            Row(fault: .http503, policy: "none", settings: plain, status: nil, tries: 1),
            Row(fault: .http503, policy: "503", settings: retrying(), status: "0", tries: 2),
        ]
    }

    @Test("what a policy makes of one failed attempt, beside another task and alone", arguments: rows, [1, 2])
    func table(row: Row, taskCount: Int) async throws {
        let (tasks, tries) = try await Self.tasks(taskCount, failures: 1, row.fault)
        try await RelayBench.run(endpoints: tasks.map(\.endpoint), route: row.settings) { bench in
            let caller = try await bench.connect()
            let answer = try await caller.call(body: [0, 0, 0, 0, 1, 5])
            #expect(answer.grpcStatus == row.status, "\(row.fault) with \(row.policy)")
            #expect(tries() == row.tries, "\(row.fault) with \(row.policy)")
            if row.status == "0" { #expect(answer.body == [0, 0, 0, 0, 1, 5]) }
            #expect(bench.count(.retries) == row.tries - 1)
            #expect(bench.count(.retriesSucceeded) == row.tries - 1)
            let retried = tasks.flatMap(\.requests).filter { $0.fields["grpc-previous-rpc-attempts"] == "1" }
            #expect(retried.count == row.tries - 1)
            // The retry goes elsewhere where there is an elsewhere.
            if row.tries == taskCount { #expect(tasks.allSatisfy { $0.requests.count == 1 }) }
            await caller.close()
        }
        for task in tasks { await task.stop() }
    }

    @Test("attempts end with their number, and the last word is the caller's")
    func exhausted() async throws {
        let (tasks, tries) = try await Self.tasks(2, failures: .max, .trailersOnly)
        let settings = Self.retrying { $0.retry.maxAttempts = 4 }
        try await RelayBench.run(endpoints: tasks.map(\.endpoint), route: settings) { bench in
            let caller = try await bench.connect()
            let answer = try await caller.call()
            #expect(answer.grpcStatus == "14" && answer.grpcMessage == "busy")
            #expect(tries() == 4)
            #expect(
                tasks.flatMap(\.requests).compactMap { $0.fields["grpc-previous-rpc-attempts"] }.sorted()
                    == ["1", "2", "3"])
            await caller.close()
        }
        for task in tasks { await task.stop() }
    }

    @Test(
        "a task decides when it is tried again, and whether", arguments: [("0", 2), ("40", 2), ("-1", 1), ("soon", 1)])
    func pushback(value: String, expected: Int) async throws {
        let (tasks, tries) = try await Self.tasks(
            2, failures: 1, .trailersOnly, more: [("grpc-retry-pushback-ms", value)])
        try await RelayBench.run(endpoints: tasks.map(\.endpoint), route: Self.retrying()) { bench in
            let caller = try await bench.connect()
            let start = ContinuousClock.now
            let answer = try await caller.call()
            #expect(tries() == expected)
            #expect(answer.grpcStatus == (expected == 2 ? "0" : "14"))
            if value == "40" { #expect(ContinuousClock.now - start >= .milliseconds(40)) }
            #expect(bench.count(.retriesStopped) == (expected == 1 ? 1 : 0))
            await caller.close()
        }
        for task in tasks { await task.stop() }
    }

    @Test("retries stay within the budget")
    func budget() async throws {
        let (tasks, tries) = try await Self.tasks(2, failures: .max, .trailersOnly)
        let settings = Self.retrying { $0.retry.maxAttempts = 5 }
        var cluster = ClusterSettings()
        cluster.retryBudget.minimumPerSecond = 0
        cluster.outlier.isEnabled = false
        try await RelayBench.run(endpoints: tasks.map(\.endpoint), cluster: cluster, route: settings) { bench in
            let caller = try await bench.connect()
            let start = ContinuousClock.now
            for _ in 0..<100 { #expect(try await caller.call().grpcStatus == "14") }
            // Of what is older than the window there is no share.
            if ContinuousClock.now - start < .seconds(9) { #expect(tries() == 120) }
            #expect(tries() <= 120)
            #expect(bench.count(.retries) == tries() - 100)
            #expect(bench.count(.retriesOverBudget) > 0)
            await caller.close()
        }
        for task in tasks { await task.stop() }
    }

    @Test("a request body over the limit is not sent twice; one within it is, whole")
    func bodies() async throws {
        for size in [60_000, 200_000] {
            let (tasks, tries) = try await Self.tasks(2, failures: 1, .trailersOnly)
            try await RelayBench.run(endpoints: tasks.map(\.endpoint), route: Self.retrying()) { bench in
                let caller = try await bench.connect()
                let body = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
                let answer = try await caller.call(body: body)
                #expect(tries() == (size == 60_000 ? 2 : 1))
                #expect(answer.grpcStatus == (size == 60_000 ? "0" : "14"))
                if size == 60_000 { #expect(answer.body == body) }
                await caller.close()
            }
            for task in tasks { await task.stop() }
        }
    }

    @Test("a caller that still sends sees the response's head at once, and is not retried behind its back")
    func bothWays() async throws {
        let task = try await ScriptedTask.start { request, moment in
            switch moment {
            case .head: request.sendHead()
            case .data: request.end([("grpc-status", "14")])
            case .end: break
            }
        }
        try await RelayBench.run(endpoints: [task.endpoint], route: Self.retrying()) { bench in
            let caller = try await bench.connect()
            let call = try await caller.open()
            try await call.head()
            try await call.send([1])
            #expect(try await call.answer().grpcStatus == "14")
            #expect(task.requests.count == 1)
            await caller.close()
        }
        await task.stop()
    }

    @Test("a head that nothing follows is passed on after a second")
    func heldHead() async throws {
        let task = try await ScriptedTask.start { request, moment in
            if moment == .end { request.sendHead() }
        }
        try await RelayBench.run(endpoints: [task.endpoint], route: Self.retrying()) { bench in
            let caller = try await bench.connect()
            let call = try await caller.open(finish: true)
            try await call.head()
            try await call.cancel()
            await caller.close()
        }
        await task.stop()
    }

    @Test(
        "an attempt's own time ends it, and another task is asked where the policy says so", arguments: [true, false])
    func perTry(isRetried: Bool) async throws {
        let (tasks, tries) = try await Self.tasks(2, failures: 1, .silence)
        let settings = Self.retrying {
            $0.perTryTimeout = .milliseconds(400)
            if isRetried { $0.retry.conditions = [.timeout] }
        }
        try await RelayBench.run(endpoints: tasks.map(\.endpoint), route: settings) { bench in
            let caller = try await bench.connect()
            #expect(try await caller.call().grpcStatus == (isRetried ? "0" : "4"))
            #expect(tries() == (isRetried ? 2 : 1))
            #expect(bench.count(.perTryTimeouts) == 1)
            let first = try #require(tasks.flatMap(\.requests).first { $0.fields["grpc-previous-rpc-attempts"] == nil })
            let isReset = try await eventually {
                tasks.flatMap(\.requests).contains { $0.streamID == first.streamID && $0.reset == .cancel }
            }
            #expect(isReset)
            await caller.close()
        }
        for task in tasks { await task.stop() }
    }

    @Test("no retry is begun that the deadline would not see the end of")
    func deadlineAndRetry() async throws {
        let (tasks, tries) = try await Self.tasks(
            2, failures: 1, .trailersOnly, more: [("grpc-retry-pushback-ms", "5000")])
        try await RelayBench.run(endpoints: tasks.map(\.endpoint), route: Self.retrying()) { bench in
            let caller = try await bench.connect()
            let answer = try await caller.call(fields: Caller.grpc + [("grpc-timeout", "1S")])
            #expect(answer.grpcStatus == "14")
            #expect(tries() == 1)
            await caller.close()
        }
        for task in tasks { await task.stop() }
    }

    @Test("a cancelled call is not retried")
    func cancelled() async throws {
        let (tasks, tries) = try await Self.tasks(2, failures: 1, .silence)
        try await RelayBench.run(
            endpoints: tasks.map(\.endpoint), route: Self.retrying { $0.idempotent = .all }
        ) { bench in
            let caller = try await bench.connect()
            let call = try await caller.open(finish: true)
            let isThere = try await eventually { tries() == 1 }
            #expect(isThere)
            try await call.cancel()
            let isReset = try await eventually { tasks.flatMap(\.requests).first?.reset == .cancel }
            #expect(isReset)
            #expect(tries() == 1)
            await caller.close()
        }
        for task in tasks { await task.stop() }
    }

    @Test("a call that everybody refuses ends after its attempts, whatever the policy", arguments: [true, false])
    func refusedForEver(isHedged: Bool) async throws {
        let tally = Tally()
        var tasks: [ScriptedTask] = []
        for _ in 0..<2 {
            tasks.append(
                try await ScriptedTask.start { request, moment in
                    guard moment == .head else { return }
                    _ = tally.next
                    request.reset(.refusedStream)
                })
        }
        var settings = RouteSettings()
        settings.idempotent = .all
        if isHedged {
            settings.hedging = HedgingPolicy()
        } else {
            settings.retry.conditions = [.connectFailure]
            settings.retry.backoffBase = .milliseconds(1)
        }
        try await RelayBench.run(endpoints: tasks.map(\.endpoint), route: settings) { bench in
            let caller = try await bench.connect()
            let answer = try await caller.call()
            #expect(answer.reset == .refusedStream)
            #expect(tally.count <= 5)
            await caller.close()
        }
        for task in tasks { await task.stop() }
    }

    // MARK: Hedging

    @Test("a hedge answers for a task that does not, and the slow one is told to stop")
    func hedge() async throws {
        let (tasks, tries) = try await Self.tasks(3, failures: 1, .silence)
        var settings = RouteSettings()
        settings.hedging = HedgingPolicy()
        settings.hedging?.delay = .milliseconds(400)
        settings.hedging?.maxAttempts = 3
        try await RelayBench.run(endpoints: tasks.map(\.endpoint), route: settings) { bench in
            let caller = try await bench.connect()
            let answer = try await caller.call(body: [0, 0, 0, 0, 2, 8, 9])
            #expect(answer.grpcStatus == "0" && answer.body == [0, 0, 0, 0, 2, 8, 9])
            #expect(tries() == 2)
            #expect(bench.count(.hedges) == 1 && bench.count(.hedgesWon) == 1)
            let isReset = try await eventually { tasks.flatMap(\.requests).filter { $0.reset == .cancel }.count == 1 }
            #expect(isReset)
            // One that answers in time is not hedged.
            #expect(try await caller.call().grpcStatus == "0")
            #expect(tries() == 3)
            await caller.close()
        }
        for task in tasks { await task.stop() }
    }

    @Test("a status that is not fatal brings the next attempt at once; one that is ends the call", arguments: [14, 3])
    func hedgeStatus(code: Int) async throws {
        let tally = Tally()
        var tasks: [ScriptedTask] = []
        for _ in 0..<2 {
            tasks.append(
                try await ScriptedTask.start { request, moment in
                    guard moment == .end else { return }
                    if tally.next == 1 {
                        request.sendTrailersOnly(ScriptedTask.Incoming.head + [("grpc-status", "\(code)")])
                    } else {
                        ScriptedTask.echo(request, moment)
                    }
                })
        }
        var settings = RouteSettings()
        settings.hedging = HedgingPolicy()
        settings.hedging?.delay = .seconds(20)
        try await RelayBench.run(endpoints: tasks.map(\.endpoint), route: settings) { bench in
            let caller = try await bench.connect()
            #expect(try await caller.call().grpcStatus == (code == 14 ? "0" : "3"))
            #expect(tally.count == (code == 14 ? 2 : 1))
            await caller.close()
        }
        for task in tasks { await task.stop() }
    }

    @Test("when every hedge fails the caller hears it once, from the last")
    func hedgesFail() async throws {
        let (tasks, tries) = try await Self.tasks(3, failures: .max, .trailers)
        var settings = RouteSettings()
        settings.hedging = HedgingPolicy()
        settings.hedging?.delay = .milliseconds(1)
        settings.hedging?.maxAttempts = 3
        try await RelayBench.run(endpoints: tasks.map(\.endpoint), route: settings) { bench in
            let caller = try await bench.connect()
            for _ in 0..<20 { #expect(try await caller.call().grpcStatus == "14") }
            #expect(tries() <= 60 && tries() >= 20)
            await caller.close()
        }
        for task in tasks { await task.stop() }
    }
}
