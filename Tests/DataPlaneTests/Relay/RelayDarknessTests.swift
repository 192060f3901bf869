import NIOCore
import NIOPosix
import Policy
import Synchronization
import Telemetry
import Testing

@testable import DataPlane

@Suite("Relay over loopback: tasks that go dark", .timeLimit(.minutes(1)))
struct RelayDarknessTests {
    private static var settings: ClusterSettings {
        var settings = ClusterSettings()
        settings.darkAfter = .milliseconds(400)
        settings.darkTimeout = .milliseconds(1_200)
        settings.connectTimeout = .milliseconds(1_000)
        settings.connectBackoff = .milliseconds(200)
        settings.connectBackoffMax = .milliseconds(200)
        return settings
    }

    /// Sees that a call ends well, and in how long.
    private static func time(_ caller: Caller) async throws -> Duration {
        let begin = ContinuousClock.now
        #expect(try await caller.call(body: [4]).body == [4])
        return ContinuousClock.now - begin
    }

    @Test("the calls written to a task that goes dark end soon, as lost; no later one goes there")
    func dark() async throws {
        let dark = try await ScriptedTask.start()
        let task = try await ScriptedTask.start()
        try await RelayBench.run(endpoints: [dark.endpoint, task.endpoint], cluster: Self.settings) { bench in
            let caller = try await bench.connect()
            for _ in 0..<4 { _ = try await Self.time(caller) }
            try await dark.setDark(true)
            let begin = ContinuousClock.now
            let before = dark.endpoint.streamsTotal.load(ordering: .relaxed)
            var written: [Call] = []
            for _ in 0..<6 { written.append(try await caller.open(body: [4], finish: true)) }
            let isKnown = try await eventually { dark.endpoint.isUnreachable }
            #expect(isKnown)
            // Passed over, and not told to discovery before the connection is given up.
            #expect(bench.reports.isEmpty)
            #expect(ContinuousClock.now - begin >= .milliseconds(400))
            // Nobody waits from here on, neither for the dark connection nor for a probe.
            for _ in 0..<30 { #expect(try await Self.time(caller) < .milliseconds(900)) }
            var lost = 0
            for call in written {
                let answer = try await call.answer()
                if answer.body == [4] { continue }
                lost += 1
                #expect(answer.grpcStatus == "14" && answer.reason == "connection_lost")
                #expect(answer.grpcMessage.contains("\(dark.endpoint.name) is gone"))
            }
            // Every other one, unless it took so long to write them that it was known meanwhile.
            let writtenToDark = dark.endpoint.streamsTotal.load(ordering: .relaxed) - before
            #expect(lost == writtenToDark && (1...3).contains(lost))
            #expect(bench.reports.first?.hasPrefix("\(dark.endpoint.name) ") == true)
            #expect(ContinuousClock.now - begin < .seconds(4))
            #expect(bench.count(.darkConnections) == 1)
            #expect(bench.count(.replaysUnsent) == 0)
            await caller.close()
        }
        await dark.stop()
        await task.stop()
    }

    @Test("a task that was dark for a moment loses no call and is used again")
    func moment() async throws {
        let dark = try await ScriptedTask.start()
        let task = try await ScriptedTask.start()
        var settings = Self.settings
        settings.darkTimeout = .seconds(20)
        try await RelayBench.run(endpoints: [dark.endpoint, task.endpoint], cluster: settings) { bench in
            let caller = try await bench.connect()
            for _ in 0..<4 { _ = try await Self.time(caller) }
            try await dark.setDark(true)
            var written: [Call] = []
            for _ in 0..<4 { written.append(try await caller.open(body: [4], finish: true)) }
            let isKnown = try await eventually { bench.count(.darkConnections) == 1 }
            #expect(isKnown && dark.endpoint.isUnreachable)
            try await dark.setDark(false)
            for call in written { #expect(try await call.answer().body == [4]) }
            #expect(!bench.reports.contains { $0.contains("is gone") })
            let isBack = try await eventually { !dark.endpoint.isUnreachable }
            #expect(isBack)
            let seen = dark.requests.count
            for _ in 0..<4 { _ = try await Self.time(caller) }
            #expect(dark.requests.count > seen)
            await caller.close()
        }
        await dark.stop()
        await task.stop()
    }

    @Test("of five tasks one goes dark under load: calls written to it before are lost, no others", arguments: 1...2)
    func load(workers: Int) async throws {
        var tasks: [ScriptedTask] = []
        for _ in 0..<5 { tasks.append(try await ScriptedTask.start()) }
        let dark = tasks[2]
        let settings = Self.settings
        try await RelayBench.run(
            workers: workers, endpoints: tasks.map(\.endpoint), cluster: settings
        ) { bench in
            var callers: [Caller] = []
            for _ in 0..<8 { callers.append(try await bench.connect()) }
            for caller in callers { for _ in 0..<5 { _ = try await Self.time(caller) } }
            // One for each worker that the kernel gave a caller.
            let connections = dark.endpoint.connections.load(ordering: .relaxed)
            try await dark.setDark(true)
            let begin = ContinuousClock.now
            var calls: [(at: Duration, call: Call)] = []
            // A hundred calls a second and more, for two and a half seconds.
            while ContinuousClock.now - begin < .milliseconds(2_500) {
                for caller in callers {
                    calls.append((ContinuousClock.now - begin, try await caller.open(body: [4], finish: true)))
                }
                try await Task.sleep(for: .milliseconds(40))
            }
            var lastLost = Duration.zero
            for (at, call) in calls {
                let answer = try await call.answer()
                if answer.body == [4] { continue }
                #expect(answer.reason == "connection_lost", "\(answer)")
                lastLost = max(lastLost, at)
            }
            // A step until the first look, then the time that darkness takes to be believed.
            #expect(lastLost > .zero && lastLost < .milliseconds(1_500), "\(lastLost)")
            #expect(connections >= 1 && bench.count(.darkConnections) == connections)
            #expect(dark.endpoint.isUnreachable)
            for caller in callers { await caller.close() }
        }
        for task in tasks { await task.stop() }
    }

    @Test("a task that acknowledges and takes its time is not taken for dead")
    func slowTask() async throws {
        let task = try await ScriptedTask.start { request, moment in
            guard moment == .end else { return }
            request.later(.milliseconds(2_500)) { $0.respond(body: [1], trailers: [("grpc-status", "0")]) }
        }
        try await RelayBench.run(endpoints: [task.endpoint], cluster: Self.settings) { bench in
            let caller = try await bench.connect()
            #expect(try await caller.call().body == [1])
            #expect(bench.count(.darkConnections) == 0)
            #expect(bench.reports.isEmpty)
            await caller.close()
        }
        await task.stop()
    }

    // MARK: What the kernel says

    private static func facts(_ channel: any Channel) async throws -> KernelFacts? {
        try await channel.eventLoop.submit { TaskSocket.facts(of: channel) }.get()
    }

    private static func connect(to task: ScriptedTask) async throws -> any Channel {
        try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: task.endpoint.address.port).get()
    }

    @Test("the kernel says at once what has arrived, and what has not")
    func facts() async throws {
        let task = try await ScriptedTask.startMute()
        let channel = try await Self.connect(to: task)
        try await channel.writeAndFlush(ByteBuffer(repeating: 0, count: 1_000))
        var facts = try await Self.facts(channel)
        for _ in 0..<500 where facts?.hasOutstanding != false {
            try await Task.sleep(for: .milliseconds(2))
            facts = try await Self.facts(channel)
        }
        #expect(facts?.hasOutstanding == false && facts?.isBlocked == false)
        try await task.setDark(true)
        try await channel.writeAndFlush(ByteBuffer(repeating: 0, count: 1_000))
        try await Task.sleep(for: .milliseconds(900))
        facts = try await Self.facts(channel)
        #expect(facts?.hasOutstanding == true)
        #expect((facts?.sinceAcknowledgement ?? 0) >= 890_000_000, "\(String(describing: facts))")
        try await channel.close()
        await task.stop()
    }

    @Test("a task that reads nothing but acknowledges is not taken for dead, however much waits for it")
    func closedWindow() async throws {
        let task = try await ScriptedTask.startMute(reads: false)
        let channel = try await Self.connect(to: task)
        channel.writeAndFlush(ByteBuffer(repeating: 0, count: 20_000_000), promise: nil)
        var settings = ClusterSettings()
        settings.darkAfter = .milliseconds(400)
        var watch = ConnectionWatch(settings, now: 0)
        watch.noteSent(now: 0)
        let begin = ContinuousClock.now
        for _ in 0..<20 {
            try await Task.sleep(for: .milliseconds(100))
            let facts = try await Self.facts(channel)
            #expect(facts?.isBlocked == true)
            let now = (ContinuousClock.now - begin).nanoseconds
            #expect(watch.hear(facts, now: now) == .none, "\(String(describing: facts))")
        }
        #expect(watch.mayBeUnacknowledged)
        try await channel.close()
        await task.stop()
    }
}
