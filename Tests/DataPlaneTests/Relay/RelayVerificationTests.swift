import HTTP2
import Policy
import Synchronization
import Telemetry
import Testing

@testable import DataPlane

@Suite("Relay over loopback: identity before use", .timeLimit(.minutes(1)))
struct RelayVerificationTests {
    private static let healthPath = "/grpc.health.v1.Health/Check"
    private static let service = "demo.Users"

    private static var settings: ClusterSettings {
        var settings = ClusterSettings()
        settings.verifyService = service
        settings.settingsTimeout = .milliseconds(500)
        settings.connectBackoff = .seconds(30)
        return settings
    }

    /// A task that answers the health check so, and echoes everything else.
    private static func task(_ health: @escaping @Sendable (ScriptedTask.Incoming) -> Void) async throws
        -> ScriptedTask
    {
        try await ScriptedTask.start { request, moment in
            if request.path != healthPath {
                ScriptedTask.echo(request, moment)
            } else if moment == .end {
                health(request)
            }
        }
    }

    private static func answer(_ status: UInt8) -> @Sendable (ScriptedTask.Incoming) -> Void {
        { $0.respond(body: [0, 0, 0, 0, 2, 8, status], trailers: [("grpc-status", "0")]) }
    }

    private static func refuse(_ status: String) -> @Sendable (ScriptedTask.Incoming) -> Void {
        { $0.sendTrailersOnly(ScriptedTask.Incoming.head + [("grpc-status", status)]) }
    }

    private static func calls(_ task: ScriptedTask) -> [ScriptedTask.Request] {
        task.requests.filter { $0.path != healthPath }
    }

    @Test("a task that serves the service is asked once per connection, before the first stream")
    func serving() async throws {
        let task = try await Self.task(Self.answer(1))
        try await RelayBench.run(endpoints: [task.endpoint], cluster: Self.settings) { bench in
            let caller = try await bench.connect()
            for _ in 0..<5 { #expect(try await caller.call(body: [4]).body == [4]) }
            #expect(task.connectionCount == 1)
            #expect(task.requests.map(\.path) == [Self.healthPath] + Array(repeating: Caller.path, count: 5))
            let question = try #require(task.requests.first)
            #expect(question.body == [0, 0, 0, 0, 12, 0x0A, 10] + Array(Self.service.utf8))
            #expect(question.fields["content-type"] == "application/grpc" && question.fields["te"] == "trailers")
            // It is no stream of a caller.
            #expect(task.endpoint.streamsTotal.load(ordering: .relaxed) == 5)
            #expect(bench.count(.verificationFailures) == 0)
            await caller.close()
        }
        await task.stop()
    }

    @Test("connections that were not asked for the service that counts now end, and others are made")
    func asksAnew() async throws {
        let task = try await Self.task(Self.answer(1))
        try await RelayBench.run(endpoints: [task.endpoint], cluster: Self.settings) { bench in
            let caller = try await bench.connect()
            #expect(try await caller.call(body: [4]).body == [4])
            var settings = Self.settings
            settings.maxStreamsPerConnection = 7
            try await bench.publish([task.endpoint], cluster: settings)
            #expect(try await caller.call(body: [4]).body == [4])
            #expect(task.connectionCount == 1)
            settings.verifyService = "demo.Orders"
            try await bench.publish([task.endpoint], cluster: settings)
            #expect(try await caller.call(body: [4]).body == [4])
            #expect(task.connectionCount == 2)
            let question = try #require(task.requests.last { $0.path == Self.healthPath })
            #expect(question.body.suffix(11) == Array("demo.Orders".utf8))
            await caller.close()
        }
        await task.stop()
    }

    private static let strangers: [(name: String, health: @Sendable (ScriptedTask.Incoming) -> Void)] = [
        ("NOT_SERVING", answer(2)), ("SERVICE_UNKNOWN", answer(3)), ("NOT_FOUND", refuse("5")),
        ("UNIMPLEMENTED", refuse("12")), ("HTTP status 404", { $0.sendTrailersOnly([(":status", "404")]) }),
        ("stream reset: REFUSED_STREAM", { $0.reset(.refusedStream) }),
    ]

    @Test("a task of another service gets no stream, and what it said is told", arguments: strangers.indices)
    func stranger(index: Int) async throws {
        let (name, health) = Self.strangers[index]
        let stranger = try await Self.task(health)
        let task = try await Self.task(Self.answer(1))
        let reason = "does not serve demo.Users (\(name))"
        try await RelayBench.run(endpoints: [stranger.endpoint, task.endpoint], cluster: Self.settings) { bench in
            let caller = try await bench.connect()
            for _ in 0..<6 { #expect(try await caller.call(body: [4]).body == [4]) }
            #expect(Self.calls(stranger).isEmpty && Self.calls(task).count == 6)
            #expect(stranger.connectionCount == 1)
            #expect(bench.count(.verificationFailures) == 1 && bench.count(.connectFailures) == 1)
            #expect(bench.count(.replaysUnsent) == 1)
            #expect(bench.reports == ["\(stranger.endpoint.name) \(reason)"])
            let isClosed = try await eventually { stranger.endpoint.connections.load(ordering: .relaxed) == 0 }
            #expect(isClosed)
            await caller.close()
        }
        stranger.endpoint.recordReached()
        try await RelayBench.run(endpoints: [stranger.endpoint], cluster: Self.settings) { bench in
            let caller = try await bench.connect()
            let answer = try await caller.call()
            #expect(answer.grpcStatus == "14" && answer.reason == "connect_failure")
            #expect(answer.grpcMessage == "\(stranger.endpoint.name) of cluster echo \(reason)")
            await caller.close()
        }
        await stranger.stop()
        await task.stop()
    }

    @Test("a task that does not say what it serves, or leaves when asked, is left for another one")
    func silent() async throws {
        for health: @Sendable (ScriptedTask.Incoming) -> Void in [
            { _ in }, { $0.closeConnection() }, { $0.goAway(last: 0) },
        ] {
            let silent = try await Self.task(health)
            let task = try await Self.task(Self.answer(1))
            try await RelayBench.run(endpoints: [silent.endpoint, task.endpoint], cluster: Self.settings) { bench in
                let caller = try await bench.connect()
                for _ in 0..<4 { #expect(try await caller.call(body: [4]).body == [4]) }
                #expect(Self.calls(silent).isEmpty)
                #expect(bench.count(.verificationFailures) == 1)
                #expect(bench.reports.count == 1)
                await caller.close()
            }
            await silent.stop()
            await task.stop()
        }
    }

    @Test("a probe that finds another service leaves the endpoint alone")
    func probe() async throws {
        let isServing = Mutex(false)
        let changing = try await Self.task { request in
            Self.answer(isServing.withLock { $0 } ? 1 : 3)(request)
        }
        let task = try await Self.task(Self.answer(1))
        var settings = Self.settings
        settings.connectBackoff = .milliseconds(100)
        settings.connectBackoffMax = .milliseconds(100)
        try await RelayBench.run(endpoints: [changing.endpoint, task.endpoint], cluster: settings) { bench in
            let caller = try await bench.connect()
            let end = ContinuousClock.now + .seconds(10)
            while bench.count(.verificationFailures) < 3, ContinuousClock.now < end {
                #expect(try await caller.call(body: [4]).body == [4])
            }
            #expect(bench.count(.probes) >= 2)
            #expect(bench.count(.replaysUnsent) == 1)
            #expect(Self.calls(changing).isEmpty)
            isServing.withLock { $0 = true }
            while Self.calls(changing).isEmpty, ContinuousClock.now < end {
                #expect(try await caller.call(body: [4]).body == [4])
            }
            #expect(!changing.endpoint.isUnreachable)
            #expect(bench.count(.replaysUnsent) == 1)
            await caller.close()
        }
        await changing.stop()
        await task.stop()
    }
}
