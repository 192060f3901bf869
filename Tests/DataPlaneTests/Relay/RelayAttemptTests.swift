import HTTP2
import NIOCore
import Policy
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import DataPlane

@Suite("Relay: what attempts come to")
struct RelayAttemptTests {
    @Test("connect failures are retried as often as the policy says, and not more")
    func connectFailuresEnd() async throws {
        let dead = try ClosedPort.endpoint()
        var route = RouteSettings()
        route.retry.conditions = [.connectFailure]
        route.retry.maxAttempts = 3
        route.retry.backoffBase = .milliseconds(1)
        var cluster = ClusterSettings()
        cluster.retryBudget.minimumPerSecond = 50
        cluster.outlier.isEnabled = false
        try await RelayBench.run(endpoints: [dead], cluster: cluster, route: route) { bench in
            let caller = try await bench.connect()
            #expect(try await caller.call(fields: Caller.grpc + [("grpc-timeout", "20S")]).grpcStatus == "14")
            #expect(bench.count(.retries) == 2)
            await caller.close()
        }
    }

    @Test("refusals are retried as often as the policy says, and not more")
    func refusalsEnd() async throws {
        let task = try await ScriptedTask.start { request, moment in
            if moment == .end { request.reset(.refusedStream) }
        }
        var route = RouteSettings()
        route.idempotent = .all
        route.retry.maxAttempts = 3
        route.retry.backoffBase = .milliseconds(1)
        var cluster = ClusterSettings()
        cluster.retryBudget.minimumPerSecond = 50
        try await RelayBench.run(endpoints: [task.endpoint], cluster: cluster, route: route) { bench in
            let caller = try await bench.connect()
            _ = try await caller.call()
            #expect(bench.count(.retries) <= 2)
            #expect(task.requests.count <= 5)
            await caller.close()
        }
        await task.stop()
    }

    @Test(
        "a task that has begun to answer has processed the call", arguments: [ErrorCode.refusedStream, .internalError])
    func refusedAfterHead(code: ErrorCode) async throws {
        let task = try await ScriptedTask.start { request, moment in
            guard moment == .end else { return }
            request.sendHead()
            request.later(.milliseconds(50)) { $0.reset(code) }
        }
        var route = RouteSettings()
        route.retry.grpcStatuses = [.unavailable]
        route.retry.conditions = [.reset]
        try await RelayBench.run(endpoints: [task.endpoint], route: route) { bench in
            let caller = try await bench.connect()
            _ = try await caller.call()
            #expect(task.requests.count == 1)
            await caller.close()
        }
        await task.stop()
    }

    @Test("a route that names the calls which may run twice hedges no others")
    func hedgesWhatIsNamed() async throws {
        let script: ScriptedTask.Script = { request, moment in
            if moment == .end { request.later(.milliseconds(500)) { ScriptedTask.echo($0, .end) } }
        }
        let task = try await ScriptedTask.start(script)
        let second = try await ScriptedTask.start(script)
        var route = RouteSettings()
        route.hedging = HedgingPolicy()
        route.hedging?.delay = .milliseconds(20)
        route.idempotent = .methods(["Get"])
        var cluster = ClusterSettings()
        cluster.retryBudget.minimumPerSecond = 50
        try await RelayBench.run(
            endpoints: [task.endpoint, second.endpoint], cluster: cluster, route: route
        ) { bench in
            let caller = try await bench.connect()
            for _ in 0..<2 { #expect(try await caller.call("/echo.Echo/Delete").grpcStatus == "0") }
            #expect(bench.count(.hedges) == 0)
            #expect(task.requests.count == 1 && second.requests.count == 1)
            for _ in 0..<2 { #expect(try await caller.call("/echo.Echo/Get").grpcStatus == "0") }
            #expect(bench.count(.hedges) == 2)
            await caller.close()
        }
        await task.stop()
        await second.stop()
    }

    @Test("a hedge that finds no endpoint leaves the first attempt alone", arguments: [0, 200])
    func hedgeWithoutEndpoint(wait: Int) async throws {
        let task = try await ScriptedTask.start { request, moment in
            if moment == .end { request.later(.milliseconds(2_500)) { ScriptedTask.echo($0, .end) } }
        }
        var route = RouteSettings()
        route.hedging = HedgingPolicy()
        route.hedging?.delay = .milliseconds(1_200)
        var cluster = ClusterSettings()
        cluster.noEndpointWait = .milliseconds(wait)
        try await RelayBench.run(endpoints: [task.endpoint], cluster: cluster, route: route) { bench in
            let caller = try await bench.connect()
            let call = try await caller.open(finish: true)
            let isThere = try await eventually { task.requests.count == 1 }
            #expect(isThere)
            try await bench.publish([])
            #expect(try await call.answer().grpcStatus == "0")
            await caller.close()
        }
        await task.stop()
    }

    @Test("one refused connection is one failure of the task, however many streams waited for it")
    func oneIncident() async throws {
        let dead = try ClosedPort.endpoint()
        let task = try await ScriptedTask.start()
        try await RelayBench.run(endpoints: [dead, task.endpoint]) { bench in
            let caller = try await bench.connect()
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<60 { group.addTask { _ = try? await caller.call() } }
            }
            let isEjected = dead.outlier.isEjected
            #expect(!isEjected)
            await caller.close()
        }
        await task.stop()
    }

    @Test("what was not written when a lone task said GOAWAY goes to its next connection")
    func unwrittenAtGoAway() async throws {
        let task = try await ScriptedTask.start { request, moment in
            guard moment == .end else { return }
            ScriptedTask.echo(request, moment)
            request.goAway(last: request.streamID)
        }
        var cluster = ClusterSettings()
        cluster.maxConnectionsPerEndpoint = 1
        cluster.maxStreamsPerConnection = 1
        cluster.maxRefusedAttempts = 3
        try await RelayBench.run(endpoints: [task.endpoint], cluster: cluster) { bench in
            let caller = try await bench.connect()
            for _ in 0..<30 {
                let first = try await caller.open(finish: true)
                let second = try await caller.open(finish: true)
                #expect(try await first.answer().grpcStatus == "0")
                let answer = try await second.answer()
                #expect(answer.grpcStatus == "0", "\(answer.grpcMessage ?? "-")")
            }
            let failures = task.endpoint.outlier.failuresInRow
            #expect(failures == 0)
            await caller.close()
        }
        await task.stop()
    }

    @Test("an error with a body is no good answer to a trial")
    func trialWithErrorBody() async throws {
        let bad = try await ScriptedTask.start { request, moment in
            if moment == .end {
                request.respond([(":status", "503"), ("content-type", "text/plain")], body: [1, 2, 3], trailers: [])
            }
        }
        let good = try await ScriptedTask.start()
        var cluster = ClusterSettings()
        cluster.outlier.consecutiveFailures = 1
        cluster.outlier.ejectionBase = .milliseconds(200)
        try await RelayBench.run(endpoints: [bad.endpoint, good.endpoint], cluster: cluster) { bench in
            let caller = try await bench.connect()
            let fields: Fields = [("content-type", "text/plain")]
            for _ in 0..<4 { _ = try await caller.call(fields: fields) }
            let isEjected = bad.endpoint.outlier.isEjected
            #expect(isEjected)
            try await Task.sleep(for: .milliseconds(250))
            for _ in 0..<2 { _ = try await caller.call(fields: fields) }
            #expect(bench.count(.ejectionsTrial) >= 1)
            #expect(bench.count(.ejectionsConsecutive) == 1)
            await caller.close()
        }
        await bad.stop()
        await good.stop()
    }
}
