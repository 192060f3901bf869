import HTTP2
import NIOCore
import Policy
import Synchronization
import Telemetry
import Testing

@testable import DataPlane

@Suite("Relay: whose fault it was, and how it is counted")
struct RelayBlameTests {
    enum Limit: CaseIterable {
        case timeout, maxDeadline, perTryTimeout, grpcTimeout
    }

    @Test("a caller that does not finish its request speaks against no task", arguments: Limit.allCases)
    func unfinishedRequests(limit: Limit) async throws {
        let tasks = [try await ScriptedTask.start(), try await ScriptedTask.start()]
        var route = RouteSettings()
        var fields = Caller.grpc
        switch limit {
        case .timeout: route.timeout = .after(.milliseconds(300))
        case .maxDeadline: route.maxDeadline = .milliseconds(300)
        case .perTryTimeout: route.perTryTimeout = .milliseconds(300)
        case .grpcTimeout: fields.append(("grpc-timeout", "1200m"))
        }
        var cluster = ClusterSettings()
        cluster.outlier.consecutiveFailures = 2
        try await RelayBench.run(endpoints: tasks.map(\.endpoint), cluster: cluster, route: route) { bench in
            let caller = try await bench.connect()
            var calls: [Call] = []
            for _ in 0..<8 { calls.append(try await caller.open(fields: fields, body: [1, 2])) }
            for call in calls { #expect(try await call.answer().grpcStatus == "4") }
            for task in tasks {
                #expect(task.endpoint.failuresTotal.load(ordering: .relaxed) == 0)
                let isEjected = task.endpoint.outlier.isEjected
                #expect(!isEjected)
            }
            await caller.close()
        }
        for task in tasks { await task.stop() }
    }

    @Test("a task that answers nobody is ejected, however short its callers' deadlines are")
    func silentTask() async throws {
        let silent = try await ScriptedTask.start { _, _ in }
        let task = try await ScriptedTask.start()
        var cluster = ClusterSettings()
        cluster.outlier.consecutiveFailures = 3
        try await RelayBench.run(endpoints: [silent.endpoint, task.endpoint], cluster: cluster) { bench in
            let caller = try await bench.connect()
            let fields = Caller.grpc + [("grpc-timeout", "100m")]
            let isEjected = try await {
                for _ in 0..<200 {
                    _ = try await caller.call(fields: fields)
                    if silent.endpoint.outlier.isEjected { return true }
                }
                return false
            }()
            #expect(isEjected)
            await caller.close()
        }
        await silent.stop()
        await task.stop()
    }

    @Test("a deadline that is too short for a call says nothing against a task that answers others")
    func hurry() async throws {
        let task = try await ScriptedTask.start { request, moment in
            guard moment == .end else { return }
            if request.path.hasSuffix("Slow") {
                request.later(.milliseconds(400)) { ScriptedTask.echo($0, .end) }
            } else {
                ScriptedTask.echo(request, moment)
            }
        }
        let other = try await ScriptedTask.start()
        try await RelayBench.run(endpoints: [task.endpoint, other.endpoint]) { bench in
            let caller = try await bench.connect()
            let start = ContinuousClock.now
            var isSmooth = true
            while ContinuousClock.now - start < .seconds(2) {
                let begin = ContinuousClock.now
                defer { if ContinuousClock.now - begin > .milliseconds(600) { isSmooth = false } }
                _ = try await caller.call("/echo.Echo/Slow", fields: Caller.grpc + [("grpc-timeout", "50m")])
                _ = try await caller.call("/echo.Echo/Slow", fields: Caller.grpc + [("grpc-timeout", "50m")])
                for _ in 0..<2 { #expect(try await caller.call("/echo.Echo/Fast").grpcStatus == "0") }
            }
            // On a machine that stood still for a second so did the task.
            #expect(!isSmooth || task.endpoint.failuresTotal.load(ordering: .relaxed) == 0)
            #expect(bench.count(grpcStatus: 4) > 0)
            await caller.close()
        }
        await task.stop()
        await other.stop()
    }

    @Test(
        "a stream that the task resets counts as what a gRPC library makes of the code",
        arguments: [
            (ErrorCode.internalError, 13), (.cancel, 1), (.enhanceYourCalm, 8), (.refusedStream, 14),
            (.inadequateSecurity, 7), (.protocolError, 13),
        ])
    func resetCodes(code: ErrorCode, status: Int) async throws {
        let task = try await ScriptedTask.start { request, moment in
            if moment == .end { request.reset(code) }
        }
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connect()
            #expect(try await caller.call().reset == code)
            #expect(bench.count(grpcStatus: status) == 1)
            await caller.close()
        }
        await task.stop()
    }

    @Test(
        "an HTTP status without a grpc-status counts, and is retried, as what a gRPC library makes of it",
        arguments: [(503, 14), (404, 12), (401, 16), (500, 2)])
    func httpStatuses(http: Int, status: Int) async throws {
        let task = try await ScriptedTask.start { request, moment in
            if moment == .end { request.sendTrailersOnly([(":status", "\(http)")]) }
        }
        var route = RouteSettings()
        route.retry.grpcStatuses = [.unavailable]
        route.retry.backoffBase = .milliseconds(1)
        try await RelayBench.run(endpoints: [task.endpoint], route: route) { bench in
            let caller = try await bench.connect()
            #expect(try await caller.call().head[":status"] == "\(http)")
            #expect(bench.count(grpcStatus: status) == 1)
            #expect(bench.count(.retries) == (status == 14 ? 2 : 0))
            await caller.close()
        }
        await task.stop()
    }

    @Test("every exchange other than gRPC is counted, also one that was reset or left")
    func httpOutcomes() async throws {
        let task = try await ScriptedTask.start { request, moment in
            guard moment == .end else { return }
            switch request.path {
            case "/echo.reset": request.reset(.internalError)
            case "/echo.hang": break
            default: request.respond([(":status", "200")], body: [1], trailers: [])
            }
        }
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connect()
            #expect(try await caller.call("/echo.fine", fields: []).isComplete)
            #expect(try await caller.call("/echo.reset", fields: []).reset == .internalError)
            let call = try await caller.open("/echo.hang", fields: [], finish: true)
            let isThere = try await eventually { task.requests.count == 3 }
            #expect(isThere)
            try await call.cancel()
            let isCounted = try await eventually {
                [200, 502, 499].allSatisfy { bench.count(httpStatus: $0) == 1 }
            }
            #expect(isCounted)
            await caller.close()
        }
        await task.stop()
    }

    @Test("streams that have begun to answer take no place of the adaptive limit")
    func adaptiveStreams() async throws {
        let task = try await ScriptedTask.start { request, moment in
            switch (request.path, moment) {
            case ("/echo.Echo/Watch", .head): request.sendHead()
            case ("/echo.Echo/Watch", _): break
            default: ScriptedTask.echo(request, moment)
            }
        }
        var cluster = ClusterSettings()
        cluster.breakers.adaptive = AdaptiveLimitSettings()
        cluster.breakers.adaptive?.minimum = 3
        try await RelayBench.run(endpoints: [task.endpoint], cluster: cluster) { bench in
            let caller = try await bench.connect()
            var streams: [Call] = []
            for _ in 0..<20 {
                let stream = try await caller.open("/echo.Echo/Watch")
                try await stream.head()
                streams.append(stream)
            }
            for _ in 0..<20 { #expect(try await caller.call().grpcStatus == "0") }
            #expect(bench.count(refusedAt: .adaptive) == 0)
            for stream in streams { try await stream.cancel() }
            await caller.close()
        }
        await task.stop()
    }
}
