import HTTP2
import Policy
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import DataPlane

@Suite("Relay over loopback: tasks that are gone", .timeLimit(.minutes(1)))
struct RelayLivenessTests {
    private static func settings(_ change: (inout ClusterSettings) -> Void = { _ in }) -> ClusterSettings {
        var settings = ClusterSettings()
        settings.connectBackoff = .milliseconds(200)
        settings.connectBackoffMax = .milliseconds(200)
        settings.connectTimeout = .milliseconds(500)
        change(&settings)
        return settings
    }

    /// Callers enough for each of two workers to have some.
    private func callers(_ bench: RelayBench) async throws -> [Caller] {
        var callers: [Caller] = []
        for _ in 0..<12 { callers.append(try await bench.connect()) }
        return callers
    }

    /// Calls without a pause until something has come true.
    private func call(_ callers: [Caller], until condition: () -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(10)
        while !condition(), ContinuousClock.now < end {
            for caller in callers { #expect(try await caller.call(body: [4]).body == [4]) }
        }
        #expect(condition())
    }

    // MARK: Probes

    @Test("an endpoint that refused once costs no second caller anything: one worker at a time probes it")
    func probes() async throws {
        let dead = try ClosedPort.endpoint()
        let task = try await ScriptedTask.start()
        try await RelayBench.run(workers: 2, endpoints: [dead, task.endpoint], cluster: Self.settings()) { bench in
            let callers = try await callers(bench)
            try await call([callers[0]]) { bench.count(.connectFailures) == 1 }
            #expect(bench.count(.replaysUnsent) == 1)
            #expect(bench.reports == ["\(dead.name) connection refused"])
            let begin = ContinuousClock.now
            try await call(callers) { bench.count(.probes) >= 3 && bench.count(.connectFailures) >= 4 }
            // Three pauses, and a probe in each.
            #expect(ContinuousClock.now - begin > .milliseconds(500))
            #expect(bench.count(.replaysUnsent) == 1)
            #expect(dead.failuresTotal.load(ordering: .relaxed) == 1)
            let isSettled = try await eventually { bench.count(.connectFailures) == bench.count(.probes) + 1 }
            #expect(isSettled)
            for caller in callers { await caller.close() }
        }
        await task.stop()
    }

    @Test("a task that comes back is found by a probe, whose connection then takes streams")
    func comeBack() async throws {
        let gone = try ClosedPort.endpoint()
        let task = try await ScriptedTask.start()
        try await RelayBench.run(workers: 2, endpoints: [gone, task.endpoint], cluster: Self.settings()) { bench in
            let callers = try await callers(bench)
            try await call([callers[0]]) { gone.isUnreachable }
            let back = try await ScriptedTask.start(port: gone.address.port)
            try await call(callers) { !gone.isUnreachable }
            #expect(back.requests.isEmpty || bench.count(.probes) > 0)
            try await call(callers) { back.requests.count >= callers.count }
            // One connection per worker, the probe's among them.
            #expect(back.connectionCount <= 2)
            #expect(bench.count(.replaysUnsent) == 1)
            for caller in callers { await caller.close() }
            await back.stop()
        }
        await task.stop()
    }

    @Test("no call waits for a probe that gets no answer")
    func slowProbe() async throws {
        let hole = try await BlackHole.open()
        let task = try await ScriptedTask.start()
        let settings = Self.settings { $0.connectTimeout = .seconds(2) }
        try await RelayBench.run(endpoints: [hole.endpoint, task.endpoint], cluster: settings) { bench in
            let caller = try await bench.connect()
            try await call([caller]) { bench.count(.connectFailures) == 1 }
            #expect(bench.reports == ["\(hole.endpoint.name) no answer within 2s"])
            let replays = bench.count(.replaysUnsent)
            try await call([caller]) { bench.count(.probes) == 1 }
            // While the probe waits for an answer, which takes two seconds.
            for _ in 0..<20 {
                let begin = ContinuousClock.now
                #expect(try await caller.call(body: [4]).body == [4])
                #expect(ContinuousClock.now - begin < .milliseconds(900))
            }
            #expect(bench.count(.replaysUnsent) == replays)
            await caller.close()
        }
        await task.stop()
        await hole.close()
    }

    @Test("an endpoint that left the set is not probed")
    func retired() async throws {
        let dead = try ClosedPort.endpoint()
        let task = try await ScriptedTask.start()
        try await RelayBench.run(endpoints: [dead, task.endpoint], cluster: Self.settings()) { bench in
            let caller = try await bench.connect()
            try await call([caller]) { dead.isUnreachable }
            try await bench.publish([task.endpoint])
            let end = ContinuousClock.now + .milliseconds(500)
            try await call([caller]) { ContinuousClock.now > end }
            #expect(bench.count(.probes) == 0)
            await caller.close()
        }
        await task.stop()
    }

    @Test("a task that says GOAWAY and listens no more costs one call one more try, and is reported")
    func goAwayAndGone() async throws {
        let leaving = try await ScriptedTask.start { request, moment in
            if moment == .end, request.path.hasSuffix("Leave") { request.goAway(last: request.streamID) }
            ScriptedTask.echo(request, moment)
        }
        let task = try await ScriptedTask.start()
        let settings = Self.settings {
            $0.connectBackoff = .seconds(30)
            $0.connectBackoffMax = .seconds(30)
        }
        try await RelayBench.run(endpoints: [leaving.endpoint, task.endpoint], cluster: settings) { bench in
            let caller = try await bench.connect()
            for _ in 0..<4 { #expect(try await caller.call(body: [4]).body == [4]) }
            await leaving.stopListening()
            for _ in 0..<4 where bench.count(.goAwayReceived) == 0 {
                #expect(try await caller.call("/echo.Echo/Leave", body: [4]).body == [4])
            }
            for _ in 0..<10 { #expect(try await caller.call(body: [4]).body == [4]) }
            // Its replacement may have failed before the next call came.
            #expect(bench.count(.replaysUnsent) <= 1)
            #expect(bench.reports == ["\(leaving.endpoint.name) connection refused"])
            #expect(leaving.endpoint.isUnreachable)
            await caller.close()
        }
        await leaving.stop()
        await task.stop()
    }

    @Test("a task on which a call runs is not given up because one more connection to it fails")
    func oneMore() async throws {
        let task = try await ScriptedTask.start { request, moment in
            if moment == .end { request.sendHead() }
        }
        let settings = Self.settings {
            $0.maxStreamsPerConnection = 1
            $0.pendingTimeout = .milliseconds(500)
            $0.connectBackoff = .seconds(30)
            $0.connectBackoffMax = .seconds(30)
        }
        try await RelayBench.run(endpoints: [task.endpoint], cluster: settings) { bench in
            let caller = try await bench.connect()
            let running = try await caller.open(finish: true)
            try await running.head()
            await task.stopListening()
            for _ in 0..<3 { #expect(try await caller.call().reason == "circuit_open") }
            // And the pause after a failure holds for all that wait.
            #expect(bench.count(.connectFailures) == 1)
            #expect(bench.reports.isEmpty && !task.endpoint.isUnreachable)
            try await running.cancel()
            let next = try await caller.open(finish: true)
            try await next.head()
            #expect(task.connectionCount == 1)
            try await next.cancel()
            await caller.close()
        }
        await task.stop()
    }

    // MARK: Calls that wait

    @Test("a call that waits for a black hole goes on to another task, and a lone one hears what is wrong")
    func blackHole() async throws {
        let hole = try await BlackHole.open()
        let task = try await ScriptedTask.start()
        // The patience of the queue ends with the connect, or before it.
        for pending in [500, 200] {
            let settings = Self.settings { $0.pendingTimeout = .milliseconds(pending) }
            hole.endpoint.recordReached()
            try await RelayBench.run(endpoints: [hole.endpoint, task.endpoint], cluster: settings) { bench in
                let caller = try await bench.connect()
                var calls: [Call] = []
                for _ in 0..<20 { calls.append(try await caller.open(body: [6], finish: true)) }
                for call in calls { #expect(try await call.answer().body == [6]) }
                let isKnown = try await eventually { hole.endpoint.isUnreachable }
                #expect(isKnown)
                await caller.close()
            }
            hole.endpoint.recordReached()
            try await RelayBench.run(endpoints: [hole.endpoint], cluster: settings) { bench in
                let caller = try await bench.connect()
                let answer = try await caller.call()
                #expect(answer.grpcStatus == "14" && answer.reason == "connect_failure", "\(answer.grpcMessage)")
                #expect(answer.grpcMessage.contains("\(hole.endpoint.name) of cluster echo"))
                await caller.close()
            }
        }
        await task.stop()
        await hole.close()
    }

    @Test("dead endpoints without number do not fail a call that a living one can serve")
    func manyDead() async throws {
        var endpoints: [Endpoint] = []
        for _ in 0..<15 { endpoints.append(try ClosedPort.endpoint()) }
        let task = try await ScriptedTask.start()
        endpoints.append(task.endpoint)
        try await RelayBench.run(endpoints: endpoints, cluster: Self.settings()) { bench in
            let caller = try await bench.connect()
            #expect(try await caller.call(body: [4]).body == [4])
            #expect(bench.count(.replaysUnsent) == 15)
            await caller.close()
        }
        await task.stop()
    }

    @Test("a call that finds the queue full is served by a task that has a slot")
    func fullQueue() async throws {
        let hole = try await BlackHole.open()
        let task = try await ScriptedTask.start()
        let settings = Self.settings { $0.maxPendingStreams = 3 }
        try await RelayBench.run(endpoints: [task.endpoint], cluster: settings) { bench in
            let caller = try await bench.connect()
            #expect(try await caller.call(body: [1]).body == [1])
            try await bench.publish([hole.endpoint, task.endpoint])
            var calls: [Call] = []
            for _ in 0..<20 { calls.append(try await caller.open(body: [6], finish: true)) }
            for call in calls { #expect(try await call.answer().body == [6]) }
            #expect(bench.count(.replaysUnsent) > 0 && bench.count(refusedAt: .pending) == 0)
            await caller.close()
        }
        await task.stop()
        await hole.close()
    }
}
