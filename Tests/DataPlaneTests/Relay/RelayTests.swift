import HTTP2
import Policy
import Telemetry
import Testing

@testable import DataPlane

@Suite("Relay over loopback: calls", .timeLimit(.minutes(1)))
struct RelayTests {
    private func pattern(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    }

    @Test("a unary call reaches the task as it was sent, and the response the caller with its trailers")
    func unary() async throws {
        let task = try await ScriptedTask.start()
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connect()
            let answer = try await caller.call(
                fields: Caller.grpc + [("x-note-bin", "AAEC"), ("grpc-timeout", "10S"), ("user-agent", "test/1")],
                body: pattern(105))
            #expect(answer.head == [":status": "200", "content-type": "application/grpc"])
            #expect(answer.body == pattern(105))
            #expect(answer.trailers == ["grpc-status": "0"])
            #expect(answer.isComplete && answer.reset == nil)

            let request = try #require(task.requests.first)
            // What is left of the time, and never more than that.
            var fields = request.fields
            let timeout = Array((fields.removeValue(forKey: "grpc-timeout") ?? "").utf8)
            let left = GRPCTimeout.nanoseconds(timeout.span) ?? 0
            #expect((5_000_000_000..<10_000_000_000).contains(left))
            #expect(
                fields == [
                    ":method": "POST", ":scheme": "http", ":path": "/echo.Echo/Say", ":authority": "echo.local",
                    "content-type": "application/grpc", "te": "trailers", "x-note-bin": "AAEC", "user-agent": "test/1",
                ])
            #expect(request.body == pattern(105))
            #expect(task.requests.count == 1)
            await caller.close()
        }
        await task.stop()
    }

    @Test("bodies larger than every window pass both ways", arguments: [65_535, 1_000_000])
    func bulk(size: Int) async throws {
        let task = try await ScriptedTask.start()
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connect()
            async let first = caller.call(body: pattern(size))
            async let second = caller.call(body: pattern(size + 1))
            #expect(try await first.body == pattern(size))
            #expect(try await second.body == pattern(size + 1))
            await caller.close()
        }
        await task.stop()
    }

    @Test("a stream goes both ways at once, message by message")
    func bidirectional() async throws {
        let task = try await ScriptedTask.start { request, moment in
            switch moment {
            case .head: request.sendHead()
            case .data:
                request.send(Array(request.body.suffix(1)))
            case .end: request.end([("grpc-status", "0")])
            }
        }
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connect()
            let call = try await caller.open()
            try await call.head()
            for message in UInt8(1)...20 {
                try await call.send([message])
                try await call.received(Int(message))
            }
            try await call.send([], finish: true)
            let answer = try await call.answer()
            #expect(answer.body == Array(1...20))
            #expect(answer.grpcStatus == "0")
            await caller.close()
        }
        await task.stop()
    }

    @Test("a trailers-only response stays one, and request trailers arrive")
    func trailersOnly() async throws {
        let task = try await ScriptedTask.start { request, moment in
            if moment == .end {
                request.sendTrailersOnly(
                    ScriptedTask.Incoming.head + [("grpc-status", "5"), ("grpc-message", "not here ")])
            }
        }
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connect()
            let answer = try await caller.call()
            #expect(answer.head["grpc-status"] == "5")
            #expect(answer.head["grpc-message"] == "not here ")
            #expect(answer.trailers.isEmpty && answer.body.isEmpty && answer.isComplete)
            await caller.close()
        }
        await task.stop()
    }

    @Test("interim responses are passed on; more than sixteen are a fault")
    func interim() async throws {
        let task = try await ScriptedTask.start { request, moment in
            guard moment == .end else { return }
            for index in 0..<(request.path == "/echo.Echo/Many" ? 17 : 16) {
                request.sendInterim([(":status", "103"), ("link", "\(index)")])
            }
            request.respond(body: [1], trailers: [("grpc-status", "0")])
        }
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connect()
            let some = try await caller.call()
            #expect(some.interim.map { $0["link"] } == (0..<16).map { "\($0)" })
            #expect(some.grpcStatus == "0")
            let many = try await caller.call("/echo.Echo/Many")
            #expect(many.grpcStatus == "14")
            #expect(many.reason == "upstream_protocol_error")
            await caller.close()
        }
        await task.stop()
    }

    @Test("a response that is complete before the request ends the stream for both sides")
    func earlyResponse() async throws {
        let task = try await ScriptedTask.start { request, moment in
            if moment == .head { request.respond(body: [7], trailers: [("grpc-status", "0")]) }
        }
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connect()
            let call = try await caller.open()
            try await call.received(1)
            try await call.send(pattern(200_000), finish: true)
            let answer = try await call.answer()
            #expect(answer.body == [7] && answer.grpcStatus == "0" && answer.isComplete)
            await caller.close()
        }
        await task.stop()
    }

    @Test("a cancelled call is cancelled at the task")
    func cancel() async throws {
        let task = try await ScriptedTask.start { request, moment in
            if moment == .head { request.sendHead() }
        }
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connect()
            let call = try await caller.open(body: pattern(1_000))
            try await call.head()
            try await call.cancel()
            let isTold = try await eventually { task.requests.first?.reset == .cancel }
            #expect(isTold)
            #expect(bench.count(.cancelledByCaller) == 1)
            // The connection to the task lives on.
            let next = try await caller.open()
            try await next.head()
            #expect(task.connectionCount == 1)
            await caller.close()
            let isLeft = try await eventually { task.requests.last?.reset == .cancel }
            #expect(isLeft)
        }
        await task.stop()
    }

    @Test("a task's reset is passed on with its code", arguments: [ErrorCode.internalError, .cancel, .enhanceYourCalm])
    func reset(code: ErrorCode) async throws {
        let task = try await ScriptedTask.start { request, moment in
            if moment == .end { request.reset(code) }
        }
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connect()
            let answer = try await caller.call()
            #expect(answer.reset == code)
            #expect(answer.head.isEmpty)
            #expect(task.requests.count == 1)
            await caller.close()
        }
        await task.stop()
    }

    @Test("sequential calls over several callers and workers are spread to within one", arguments: [1, 2])
    func roundRobin(workers: Int) async throws {
        var tasks: [ScriptedTask] = []
        for _ in 0..<3 { tasks.append(try await ScriptedTask.start()) }
        try await RelayBench.run(workers: workers, endpoints: tasks.map(\.endpoint)) { bench in
            var callers: [Caller] = []
            for _ in 0..<4 { callers.append(try await bench.connect()) }
            for call in 0..<31 { #expect(try await callers[call % 4].call().grpcStatus == "0") }
            #expect(tasks.map(\.requests.count).sorted() == [10, 10, 11])
            for caller in callers { await caller.close() }
        }
        for task in tasks { await task.stop() }
    }

    private static let forwarded: [(how: ListenerSettings.ForwardedFor, sent: String?, seen: String?)] = [
        (.keep, nil, nil), (.keep, "10.0.0.9", "10.0.0.9"), (.append, nil, "127.0.0.1"),
        (.append, "10.0.0.9", "10.0.0.9, 127.0.0.1"), (.replace, "10.0.0.9", "127.0.0.1"), (.replace, nil, "127.0.0.1"),
        (.remove, "10.0.0.9", nil),
    ]

    @Test("x-forwarded-for and via are what the listener says", arguments: forwarded)
    func forwardedFor(how: ListenerSettings.ForwardedFor, sent: String?, seen: String?) async throws {
        let task = try await ScriptedTask.start()
        try await RelayBench.run(
            endpoints: [task.endpoint],
            listener: {
                $0.forwardedFor = how
                $0.via = true
            }
        ) { bench in
            let caller = try await bench.connect()
            let answer = try await caller.call(fields: Caller.grpc + (sent.map { [("x-forwarded-for", $0)] } ?? []))
            #expect(answer.head["via"] == "2 ekiden")
            #expect(task.requests.first?.fields["via"] == "2 ekiden")
            #expect(task.requests.first?.fields["x-forwarded-for"] == seen)
            await caller.close()
        }
        await task.stop()
    }

    @Test("gRPC requests without te get it; host gives way to :authority")
    func rewrite() async throws {
        let task = try await ScriptedTask.start()
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connect()
            _ = try await caller.call(fields: [("content-type", "application/grpc"), ("host", "ECHO.local")])
            let fields = try #require(task.requests.first?.fields)
            #expect(fields["te"] == "trailers")
            #expect(fields["host"] == nil)
            #expect(fields[":authority"] == "echo.local")
            await caller.close()
        }
        await task.stop()
    }
}
