import HTTP2
import Policy
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import DataPlane

@Suite("Relay over loopback: failures", .timeLimit(.minutes(1)))
struct RelayFailureTests {
    // MARK: Tried elsewhere

    @Test("where one endpoint refuses connections every call is served by the other")
    func connectionRefused() async throws {
        let task = try await ScriptedTask.start()
        let dead = try ClosedPort.endpoint()
        var settings = ClusterSettings()
        settings.connectBackoff = .seconds(30)
        try await RelayBench.run(endpoints: [dead, task.endpoint], cluster: settings) { bench in
            let caller = try await bench.connect()
            for _ in 0..<8 {
                let answer = try await caller.call(body: [1, 2, 3])
                #expect(answer.grpcStatus == "0" && answer.body == [1, 2, 3])
            }
            #expect(task.requests.count == 8)
            #expect(bench.count(.connectFailures) == 1)
            #expect(bench.count(.replaysUnsent) == 1)
            #expect(dead.failuresTotal.load(ordering: .relaxed) == 1)
            await caller.close()
        }
        await task.stop()
    }

    @Test("where all refuse the caller hears why")
    func allRefused() async throws {
        let dead = [try ClosedPort.endpoint(), try ClosedPort.endpoint()]
        try await RelayBench.run(endpoints: dead) { bench in
            let caller = try await bench.connect()
            let answer = try await caller.call()
            #expect(answer.grpcStatus == "14")
            #expect(answer.reason == "connect_failure")
            #expect(answer.grpcMessage.contains("connection refused"))
            #expect(answer.grpcMessage.contains("cluster echo"))
            #expect(bench.count(localReply: .connectFailure) == 1)
            await caller.close()
        }
    }

    @Test("a task that takes the connection and says nothing is left for another one")
    func muteTask() async throws {
        let mute = try await ScriptedTask.startMute()
        let task = try await ScriptedTask.start()
        var settings = ClusterSettings()
        settings.settingsTimeout = .milliseconds(500)
        try await RelayBench.run(endpoints: [mute.endpoint, task.endpoint], cluster: settings) { bench in
            let caller = try await bench.connect()
            for _ in 0..<3 { #expect(try await caller.call(body: [5]).body == [5]) }
            #expect(task.requests.count == 3)
            await caller.close()
        }
        await mute.stop()
        await task.stop()
    }

    @Test("a stream that a task refuses is tried once on another, with its whole body")
    func refused() async throws {
        let refusing = try await ScriptedTask.start { request, moment in
            if moment == .end { request.reset(.refusedStream) }
        }
        let task = try await ScriptedTask.start()
        try await RelayBench.run(endpoints: [refusing.endpoint, task.endpoint]) { bench in
            let caller = try await bench.connect()
            let body = [UInt8](repeating: 7, count: 20_000)
            for _ in 0..<4 { #expect(try await caller.call(body: body).body == body) }
            #expect(bench.count(.replaysRefused) == refusing.requests.count)
            #expect(refusing.requests.count >= 1)
            await caller.close()
        }
        await refusing.stop()
        await task.stop()
    }

    @Test("a stream that every task refuses is refused to the caller, whose library may try again")
    func refusedByAll() async throws {
        var tasks: [ScriptedTask] = []
        for _ in 0..<3 {
            tasks.append(
                try await ScriptedTask.start { request, moment in
                    if moment == .end { request.reset(.refusedStream) }
                })
        }
        try await RelayBench.run(endpoints: tasks.map(\.endpoint)) { bench in
            let caller = try await bench.connect()
            #expect(try await caller.call().reset == .refusedStream)
            #expect(tasks.map(\.requests.count).reduce(0, +) == 2)
            await caller.close()
        }
        for task in tasks { await task.stop() }
    }

    @Test("a request above GOAWAY's last stream is tried elsewhere; the connection takes no more")
    func goAway() async throws {
        let leaving = try await ScriptedTask.start { request, moment in
            if moment == .head { request.goAway(last: max(request.streamID - 2, 0)) }
        }
        let task = try await ScriptedTask.start()
        try await RelayBench.run(endpoints: [leaving.endpoint, task.endpoint]) { bench in
            let caller = try await bench.connect()
            for _ in 0..<4 { #expect(try await caller.call(body: [9]).body == [9]) }
            #expect(task.requests.count == 4)
            #expect(bench.count(.goAwayReceived) == leaving.requests.count)
            // Each one that leaves is replaced before a stream asks for it.
            #expect(leaving.connectionCount <= leaving.requests.count + 1)
            await caller.close()
        }
        await leaving.stop()
        await task.stop()
    }

    @Test("a request that GOAWAY does not reach is answered where it is")
    func goAwayAbove() async throws {
        let leaving = try await ScriptedTask.start { request, moment in
            if moment == .head { request.goAway(last: request.streamID) }
            ScriptedTask.echo(request, moment)
        }
        try await RelayBench.run(endpoints: [leaving.endpoint]) { bench in
            let caller = try await bench.connect()
            for _ in 0..<3 { #expect(try await caller.call(body: [9]).body == [9]) }
            // The fourth is the replacement of the third.
            #expect((3...4).contains(leaving.connectionCount))
            await caller.close()
        }
        await leaving.stop()
    }

    @Test("a body of which a part is gone is never sent to another task")
    func overflowedReplay() async throws {
        let body = [UInt8](repeating: 7, count: 5_000)
        let refusing = try await ScriptedTask.start { request, _ in
            if request.body.count >= 3_000 { request.reset(.refusedStream) }
        }
        let task = try await ScriptedTask.start()
        var settings = ClusterSettings()
        settings.replayBufferBytes = 1_000
        try await RelayBench.run(endpoints: [refusing.endpoint, task.endpoint], cluster: settings) { bench in
            let caller = try await bench.connect()
            for _ in 0..<2 {
                let call = try await caller.open(body: Array(body[..<3_000]))
                _ = try await eventually {
                    refusing.requests.contains { $0.body.count == 3_000 } || task.requests.count == 1
                }
                try await call.send(Array(body[3_000...]), finish: true)
                let answer = try await call.answer()
                #expect(answer.body == body || answer.reset == .refusedStream)
            }
            #expect(refusing.requests.count >= 1)
            #expect(task.requests.allSatisfy { $0.body == body })
            await caller.close()
        }
        await refusing.stop()
        await task.stop()
    }

    @Test("a task that closes the connection instead of answering may have done the work: nobody else is asked")
    func lostBeforeResponse() async throws {
        let closing = try await ScriptedTask.start { request, moment in
            if moment == .end { request.closeConnection() }
        }
        try await RelayBench.run(endpoints: [closing.endpoint, closing.endpoint]) { bench in
            let caller = try await bench.connect()
            let answer = try await caller.call()
            #expect(answer.grpcStatus == "14")
            #expect(answer.reason == "connection_lost")
            #expect(answer.grpcMessage.contains(closing.endpoint.name))
            #expect(closing.requests.count == 1)
            await caller.close()
        }
        await closing.stop()
    }

    // MARK: Broken responses

    @Test("a gRPC response that is cut off ends in trailers that say so, another one in a reset")
    func lostMidResponse() async throws {
        let closing = try await ScriptedTask.start { request, moment in
            guard moment == .end else { return }
            request.sendHead()
            request.send([1, 2, 3])
            request.closeConnection()
        }
        try await RelayBench.run(endpoints: [closing.endpoint]) { bench in
            let caller = try await bench.connect()
            let grpc = try await caller.call()
            #expect(grpc.body == [1, 2, 3])
            #expect(grpc.trailers["grpc-status"] == "14")
            #expect(grpc.reason == "connection_lost")
            let plain = try await caller.call(fields: [])
            #expect([1, 2, 3].starts(with: plain.body))
            #expect(!plain.isComplete)
            #expect(plain.reset == .internalError)
            await caller.close()
        }
        await closing.stop()
    }

    @Test("a status that is none makes the response malformed", arguments: ["000", "999", "600"])
    func badStatus(status: String) async throws {
        let task = try await ScriptedTask.start { request, moment in
            if moment == .end { request.sendTrailersOnly([(":status", status)]) }
        }
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connect()
            let answer = try await caller.call()
            #expect(answer.grpcStatus == "14")
            #expect(answer.reason == "upstream_protocol_error")
            await caller.close()
        }
        await task.stop()
    }

    @Test("a task that breaks the rules of its connection fails its streams at once and by name")
    func brokenConnection() async throws {
        // DATA before HEADERS: the library's own verdict. PRIORITY on stream 0: ours.
        for frame in [[0, 0, 1, 0, 0, 0, 0, 0, 1, 65], [0, 0, 5, 2, 0, 0, 0, 0, 0, 0, 0, 0, 3, 1]] as [[UInt8]] {
            let task = try await ScriptedTask.start { request, moment in
                if moment == .end { request.writeRaw(frame) }
            }
            try await RelayBench.run(endpoints: [task.endpoint]) { bench in
                let caller = try await bench.connect()
                var times: [Duration] = []
                // A busy machine is slow now and then, but not every time.
                for _ in 0..<3 {
                    let begin = ContinuousClock.now
                    let answer = try await caller.call()
                    times.append(ContinuousClock.now - begin)
                    #expect(answer.grpcStatus == "14")
                    #expect(answer.reason == "upstream_protocol_error")
                }
                #expect(times.min()! < .milliseconds(900))
                await caller.close()
            }
            await task.stop()
        }
    }

    @Test("response headers over the limit are an answer, not a hang")
    func largeResponseHeaders() async throws {
        let task = try await ScriptedTask.start { request, moment in
            if moment == .end {
                request.sendTrailersOnly(
                    ScriptedTask.Incoming.head + [("x-large", String(repeating: "l", count: 70_000))])
            }
        }
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connect()
            let answer = try await caller.call()
            #expect(answer.grpcStatus == "8")
            #expect(answer.reason == "response_headers_too_large")
            await caller.close()
        }
        await task.stop()
    }

    // MARK: Answered here

    @Test("a deadline that passes is answered in time and cancels the attempt")
    func deadline() async throws {
        let task = try await ScriptedTask.start { _, _ in }
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connect()
            let begin = ContinuousClock.now
            let answer = try await caller.call(fields: Caller.grpc + [("grpc-timeout", "400m")])
            let time = ContinuousClock.now - begin
            #expect(answer.grpcStatus == "4")
            #expect(answer.grpcMessage.contains(task.endpoint.name))
            #expect(time >= .milliseconds(399))
            let isCancelled = try await eventually { task.requests.first?.reset == .cancel }
            #expect(isCancelled)
            await caller.close()
        }
        await task.stop()
    }

    @Test("a deadline in the middle of a response ends it with trailers")
    func deadlineMidResponse() async throws {
        let task = try await ScriptedTask.start { request, moment in
            guard moment == .end else { return }
            request.sendHead()
            request.send([1])
        }
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connect()
            let call = try await caller.open(fields: Caller.grpc + [("grpc-timeout", "3S")], finish: true)
            try await call.received(1)
            let answer = try await call.answer()
            #expect(answer.body == [1])
            #expect(answer.trailers["grpc-status"] == "4")
            await caller.close()
        }
        await task.stop()
    }

    @Test("no route is 12 for gRPC and 404 for others")
    func noRoute() async throws {
        try await RelayBench.run(endpoints: []) { bench in
            let caller = try await bench.connect()
            let grpc = try await caller.call("/nobody.Here/Say")
            #expect(grpc.head["grpc-status"] == "12" && grpc.reason == "no_route")
            let plain = try await caller.call("/nobody", fields: [])
            #expect(plain.head[":status"] == "404")
            #expect(
                String(decoding: plain.body, as: UTF8.self).hasPrefix(
                    #"{"error":"no_route","message":"no route for /nobody"#))
            let head = try await caller.call("/nobody", method: "HEAD", fields: [], body: nil)
            #expect(head.head[":status"] == "404" && head.body.isEmpty && head.isComplete)
            #expect(bench.registry.total(.noRoute) == 3)
            await caller.close()
        }
    }

    @Test("a cluster without endpoints waits for the first one, and no longer than it may")
    func noEndpoint() async throws {
        let task = try await ScriptedTask.start()
        var settings = ClusterSettings()
        settings.noEndpointWait = .seconds(5)
        try await RelayBench.run(endpoints: [], cluster: settings) { bench in
            let caller = try await bench.connect()
            let call = try await caller.open(body: [1], finish: true)
            let isWaiting = try await eventually { bench.count(.pendingStreams) == 1 }
            #expect(isWaiting)
            try await bench.publish([task.endpoint])
            #expect(try await call.answer().body == [1])
            await caller.close()
        }
        settings.noEndpointWait = .milliseconds(30)
        try await RelayBench.run(endpoints: [], cluster: settings) { bench in
            try await bench.publish([], resolution: .failed("NXDOMAIN for echo.local"))
            let caller = try await bench.connect()
            let answer = try await caller.call()
            #expect(answer.grpcStatus == "14" && answer.reason == "no_endpoint")
            #expect(answer.grpcMessage.contains("NXDOMAIN for echo.local"))
            await caller.close()
        }
        await task.stop()
    }

    @Test("streams over every limit wait their turn and then are told")
    func pending() async throws {
        let task = try await ScriptedTask.start { request, moment in
            if moment == .end { request.sendHead() }
        }
        var settings = ClusterSettings()
        settings.maxStreamsPerConnection = 1
        settings.maxConnectionsPerEndpoint = 2
        settings.maxPendingStreams = 3
        settings.pendingTimeout = .milliseconds(500)
        try await RelayBench.run(endpoints: [task.endpoint], cluster: settings) { bench in
            let caller = try await bench.connect()
            var running: [Call] = []
            for _ in 0..<2 {
                let call = try await caller.open(finish: true)
                try await call.head()
                running.append(call)
            }
            #expect(task.connectionCount == 2)
            var waiting: [Call] = []
            for _ in 0..<4 { waiting.append(try await caller.open(finish: true)) }
            var reasons: [String?] = []
            for call in waiting { reasons.append(try await call.answer().reason) }
            #expect(reasons == ["circuit_open", "circuit_open", "circuit_open", "circuit_open"])
            #expect(bench.count(refusedAt: .pending) == 4)
            #expect(task.endpoint.failuresTotal.load(ordering: .relaxed) == 0)
            // A slot that comes free is taken by the first that waits.
            let last = try await caller.open(finish: true)
            try await running[0].cancel()
            try await last.head()
            #expect(task.requests.count == 3)
            try await last.cancel()
            await caller.close()
        }
        await task.stop()
    }

    @Test("request headers over the limit are answered, malformed ones reset")
    func badRequests() async throws {
        let task = try await ScriptedTask.start()
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connect()
            let large = try await caller.call(
                fields: Caller.grpc + [("x-large", String(repeating: "l", count: 66_000))])
            #expect(large.grpcStatus == "8" && large.reason == "request_headers_too_large")
            let plain = try await caller.call(fields: [("x-large", String(repeating: "l", count: 66_000))])
            #expect(plain.head[":status"] == "431")
            #expect(try await caller.call("/echo.Echo/Say#x").reset == .protocolError)
            #expect(try await caller.call().grpcStatus == "0")
            #expect(task.requests.count == 1)
            #expect(bench.registry.total(.headersTooLarge) == 2)
            await caller.close()
        }
        await task.stop()
    }
}
