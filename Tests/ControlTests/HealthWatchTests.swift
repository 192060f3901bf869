import Policy
import Testing

@testable import Control

@Suite("Health by Watch", .timeLimit(.minutes(2)))
struct HealthWatchTests {
    /// Far longer than the tests: what happens in them happens because the task said something.
    private func patient(timeout: Duration = .seconds(20), down: Int = 3) -> HealthCheckSettings {
        var settings = HealthCheckSettings.quick(.watch, timeout: timeout, down: down)
        settings.interval = .seconds(600)
        return settings
    }

    @Test("what the task says counts at once, whatever the thresholds")
    func transitions() async throws {
        let task = try await HealthTestTask.start()
        try await RunningChecks.with { running in
            running.follow(patient(), task.endpoint)
            #expect(await running.next() == "healthy (1)")
            for _ in 0..<3 {
                task.say(.notServing)
                #expect(await running.next() == "NOT_SERVING (1)")
                task.say(.serving)
                #expect(await running.next() == "healthy (1)")
            }
            task.say(.serviceUnknown)
            #expect(await running.next() == "SERVICE_UNKNOWN (1)")
        }
        #expect(task.connectionCount == 1)
        await task.stop()
    }

    @Test("a Watch that breaks is a failure, and is opened again")
    func broken() async throws {
        let task = try await HealthTestTask.start()
        try await RunningChecks.with { running in
            running.follow(.quick(.watch, down: 1), task.endpoint)
            #expect(await running.next() == "healthy (1)")
            task.answer(watch: .grpc(14))
            await task.closeConnections()
            // A Check may have been on its way, which makes it a reset.
            let reason = await running.next()
            let reasons = [
                "connection closed by the task (1)", "connection reset (1)", "the Watch ended: UNAVAILABLE (1)",
            ]
            #expect(reasons.contains(reason ?? ""), "\(reason ?? "")")
            task.answer(watch: .status(.serving))
            #expect(await running.next() == "healthy (1)")
        }
        await task.stop()
    }

    @Test("a Watch that answers and then ends is opened again ever later")
    func answeredAndEnded() async throws {
        let task = try await HealthTestTask.start(watch: .bytes([0, 0, 0, 0, 2, 8, 1]))
        try await RunningChecks.with { running in
            var settings = HealthCheckSettings.quick(.watch)
            settings.interval = .seconds(1)
            settings.jitter = 0
            let start = ContinuousClock.now
            running.follow(settings, task.endpoint)
            var seen = task.seen.makeAsyncIterator()
            var watches = 0
            while watches < 5, let event = await seen.next() {
                if event == watchRequest { watches += 1 }
            }
            // A tenth of the interval, twice, four and eight times it.
            #expect(ContinuousClock.now - start > .milliseconds(1_500))
        }
        await task.stop()
    }

    @Test("a task that says good-bye and stays is asked on a new connection, without a failure")
    func goAway() async throws {
        let task = try await HealthTestTask.start()
        try await RunningChecks.with { running in
            running.follow(.quick(.watch, down: 1), task.endpoint)
            #expect(await running.next() == "healthy (1)")
            var seen = task.seen.makeAsyncIterator()
            #expect(await seen.next() == .connection)
            try await task.leave()
            while case .some(let event) = await seen.next(), event != .connection {}
            while case .some(let event) = await seen.next(), event != watchRequest {}
            // On the new Watch.
            task.say(.notServing)
            #expect(await running.next() == "NOT_SERVING (1)")
            #expect(running.count("unhealthy") == 1)
        }
        await task.stop()
    }

    private var watchRequest: HealthTestTask.Seen {
        .request(path: "/grpc.health.v1.Health/Watch", body: [0, 0, 0, 0, 0])
    }

    @Test("a task that no longer answers is ill although its Watch is open")
    func hung() async throws {
        let task = try await HealthTestTask.start()
        try await RunningChecks.with { running in
            running.follow(.quick(.watch, timeout: .milliseconds(500), down: 2), task.endpoint)
            #expect(await running.next() == "healthy (1)")
            task.answer(check: .silence)
            task.answer(watch: .silence)
            #expect(await running.next() == "no answer within 500ms (2)")
            task.answer(watch: .status(.serving))
            #expect(await running.next() == "healthy (1)")
        }
        await task.stop()
    }

    @Test("what a Check beside the Watch says is not believed, only that it came")
    func liveness() async throws {
        let task = try await HealthTestTask.start(check: .grpc(13))
        try await RunningChecks.with { running in
            running.follow(.quick(.watch, down: 1), task.endpoint)
            #expect(await running.next() == "healthy (1)")
            var seen = task.seen.makeAsyncIterator()
            var checks = 0
            while checks < 5, let event = await seen.next() {
                if case .request("/grpc.health.v1.Health/Check", _) = event { checks += 1 }
            }
            #expect(task.endpoint.verdict == .healthy)
            #expect(running.count("unhealthy") == 0)
        }
        #expect(task.connectionCount == 1)
        await task.stop()
    }

    @Test("a task without Watch is polled, and its verdicts take their thresholds")
    func polling() async throws {
        let task = try await HealthTestTask.start(watch: .grpc(12))
        try await RunningChecks.with { running in
            running.follow(.quick(.watch), task.endpoint)
            #expect(await running.next() == "healthy (1)")
            task.answer(check: .status(.notServing))
            #expect(await running.next() == "NOT_SERVING (3)")
            task.answer(check: .status(.serving))
            #expect(await running.next() == "healthy (2)")
        }
        #expect(task.connectionCount == 1)
        await task.stop()
    }
}
