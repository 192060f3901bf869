import NIOCore
import Policy
import Testing

@testable import Control

@Suite("Health checks", .timeLimit(.minutes(2)))
struct HealthChecksTests {
    @Test("a task that says NOT_SERVING is taken out after three checks and comes back after two")
    func thresholds() async throws {
        let task = try await HealthTestTask.start()
        try await RunningChecks.with { running in
            running.follow(.quick(.check), task.endpoint)
            #expect(await running.next() == "healthy (1)")
            #expect(task.endpoint.isFit)
            task.answer(check: .status(.notServing))
            #expect(await running.next() == "NOT_SERVING (3)")
            #expect(!task.endpoint.isFit)
            task.answer(check: .status(.serving))
            #expect(await running.next() == "healthy (2)")
            #expect(task.endpoint.isFit)
            #expect(running.count("passed") >= 3)
            #expect(running.count("failed") >= 3)
            #expect(running.count("healthy") == 2)
            #expect(running.count("unhealthy") == 1)
        }
        // All of it on one connection.
        #expect(task.connectionCount == 1)
        await task.stop()
    }

    @Test("a connection that the task closes between checks is made again, and is no failure")
    func reconnect() async throws {
        let task = try await HealthTestTask.start()
        try await RunningChecks.with { running in
            running.follow(.quick(.check, down: 1), task.endpoint)
            #expect(await running.next() == "healthy (1)")
            var seen = task.seen.makeAsyncIterator()
            for round in 0..<4 {
                // The second request shows that the first was answered: a connection that is kept.
                var requests = 0
                while requests < 2, let event = await seen.next() {
                    if case .request = event { requests += 1 }
                }
                if round % 2 == 0 { await task.closeConnections() } else { try await task.leave() }
                while let event = await seen.next(), event != .connection {}
            }
            // A failure would have been told before.
            task.answer(check: .grpc(13))
            #expect(await running.next() == "INTERNAL (1)")
        }
        await task.stop()
    }

    @Test("a task that is gone is taken out, and is back when it is back")
    func restart() async throws {
        let task = try await HealthTestTask.start()
        try await RunningChecks.with { running in
            running.follow(.quick(.check, up: 1), task.endpoint)
            #expect(await running.next() == "healthy (1)")
            await task.stop()
            #expect(await running.next() == "connection refused (3)")
            let next = try await HealthTestTask.start(port: task.endpoint.address.port)
            #expect(await running.next() == "healthy (1)")
            await next.stop()
        }
    }

    @Test("an endpoint that leaves while it is asked is let go, and nothing is told of it")
    func leaving() async throws {
        let task = try await HealthTestTask.start(check: .silence)
        let other = try await HealthTestTask.start()
        task.endpoint.health.set(.pending)
        try await RunningChecks.with { running in
            running.follow(.quick(.check), task.endpoint)
            var seen = task.seen.makeAsyncIterator()
            while case .some(let event) = await seen.next(), event == .connection {}
            // It is asked now.
            running.follow(.quick(.check), other.endpoint)
            while case .some(let event) = await seen.next(), event != .closed {}
            #expect(await running.next() == "healthy (1)")
            #expect(task.endpoint.verdict == .pending)
            #expect(running.count("failed") == 0)
        }
        #expect(task.connectionCount == 1)
        await task.stop()
        await other.stop()
    }

    @Test("an endpoint in use counts as before until its first result, and a new one waits for it")
    func gate() async throws {
        let task = try await HealthTestTask.start(check: .silence)
        let new = try await HealthTestTask.start(check: .silence)
        new.endpoint.health.set(.pending)
        try await RunningChecks.with { running in
            running.follow(.quick(.check), task.endpoint, new.endpoint)
            var seen = task.seen.makeAsyncIterator()
            while case .some(let event) = await seen.next(), event == .connection {}
            #expect(task.endpoint.isFit)
            #expect(!new.endpoint.isFit)
        }
        await task.stop()
        await new.stop()
    }

    @Test("a new endpoint that cannot be checked is ill after three tries, says why before, and one in use stays")
    func obstacle() async throws {
        // Nobody connects to a group: the kernel has no way there, whatever the host's routes are.
        let new = Endpoint(address: EndpointAddress(host: "224.0.0.1", port: 1))
        let used = Endpoint(address: EndpointAddress(host: "224.0.0.2", port: 1))
        new.health.set(.pending)
        try await RunningChecks.with { running in
            running.follow(.quick(.tcp), new, used)
            #expect(await running.next() == "network unreachable (3)")
            #expect(new.health.reason == "network unreachable")
            while running.count("inconclusive") < 8 { await Task.yield() }
            #expect(new.verdict == .unhealthy)
            #expect(used.isFit)
            #expect(used.health.reason == nil)
            #expect(running.count("failed") == 0)
        }
    }

    @Test("checks that a reload switches off leave endpoints as if nobody had ever looked")
    func switchedOff() async throws {
        let task = try await HealthTestTask.start(check: .status(.notServing))
        try await RunningChecks.with { running in
            running.follow(.quick(.check), task.endpoint)
            #expect(await running.next() == "NOT_SERVING (1)")
            running.follow(nil, task.endpoint)
            var seen = task.seen.makeAsyncIterator()
            while case .some(let event) = await seen.next(), event != .closed {}
            #expect(task.endpoint.verdict == .unchecked)
        }
        await task.stop()
    }

    @Test("settings that change begin anew, and the verdict stays until as many results as ever speak against it")
    func newSettings() async throws {
        let task = try await HealthTestTask.start(check: .http(503))
        try await RunningChecks.with { running in
            running.follow(.quick(.tcp), task.endpoint)
            #expect(await running.next() == "healthy (1)")
            running.follow(.quick(.get), task.endpoint)
            #expect(await running.next() == "HTTP status 503 (3)")
        }
        await task.stop()
    }

    @Test("a snapshot that changes nothing for an endpoint does not touch its checks")
    func sameSettings() async throws {
        let task = try await HealthTestTask.start()
        try await RunningChecks.with { running in
            running.follow(.quick(.check), task.endpoint)
            #expect(await running.next() == "healthy (1)")
            for _ in 0..<20 { running.follow(.quick(.check), task.endpoint) }
            task.answer(check: .status(.notServing))
            #expect(await running.next() == "NOT_SERVING (3)")
        }
        #expect(task.connectionCount == 1)
        await task.stop()
    }

    @Test("an endpoint that came back before it was seen to leave has its verdict again")
    func returning() async throws {
        let task = try await HealthTestTask.start()
        try await RunningChecks.with { running in
            running.follow(.quick(.check), task.endpoint)
            #expect(await running.next() == "healthy (1)")
            task.endpoint.health.set(.pending)
            // The next check that ends says so again.
            var seen = task.seen.makeAsyncIterator()
            while task.endpoint.verdict != .healthy, await seen.next() != nil {}
        }
        await task.stop()
    }

    @Test("a task that flaps within its thresholds stays what it is")
    func flapping() async throws {
        let task = try await HealthTestTask.start()
        try await RunningChecks.with { running in
            running.follow(.quick(.check), task.endpoint)
            #expect(await running.next() == "healthy (1)")
            var seen = task.seen.makeAsyncIterator()
            task.answer(check: .flapping)
            var requests = 0
            while requests < 30, let event = await seen.next() { if event != .connection { requests += 1 } }
            #expect(task.endpoint.verdict == .healthy)
            #expect(running.count("unhealthy") == 0)
        }
        await task.stop()
    }

    @Test("one that hangs does not keep the others waiting")
    func independence() async throws {
        let hanging = try await HealthTestTask.start(isMute: true)
        let task = try await HealthTestTask.start()
        try await RunningChecks.with { running in
            running.follow(.quick(.check), hanging.endpoint, task.endpoint)
            #expect(await running.next() == "healthy (1)")
            task.answer(check: .grpc(14))
            #expect(await running.next() == "UNAVAILABLE (3)")
        }
        await hanging.stop()
        await task.stop()
    }

    @Test("what a change is called")
    func text() {
        let endpoint = Endpoint(address: EndpointAddress(host: "10.0.0.3", port: 50051))
        var verdict = HealthVerdict(state: .healthy)
        var settings = HealthCheckSettings()
        settings.unhealthyThreshold = 3
        _ = verdict.take(.passed, settings)
        _ = verdict.take(.failed("NOT_SERVING"), settings)
        _ = verdict.take(.failed("NOT_SERVING"), settings)
        let ill = verdict.take(.failed("NOT_SERVING"), settings)
        settings.healthyThreshold = 1
        let well = verdict.take(.passed, settings)
        let texts = [ill, well].compactMap { $0 }.map {
            HealthChange(cluster: "users", endpoint: endpoint, verdict: $0).description
        }
        #expect(
            texts == [
                "endpoint 10.0.0.3:50051 of cluster users is unhealthy: NOT_SERVING (3 checks)",
                "endpoint 10.0.0.3:50051 of cluster users is healthy (1 check)",
            ])
    }
}
