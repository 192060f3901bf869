import HTTP2
import NIOCore
import Policy
import Telemetry
import Testing

@testable import DataPlane

@Suite("Relay over loopback: the age of connections", .timeLimit(.minutes(1)))
struct RelayAgeTests {
    /// Sends back each message as it comes.
    private static let bidirectional: ScriptedTask.Script = { request, moment in
        switch moment {
        case .head: request.sendHead()
        case .data: request.send(Array(request.body.suffix(1)))
        case .end: request.end([("grpc-status", "0")])
        }
    }

    private static func agesWithGrace(_ settings: inout ListenerSettings) {
        settings.maxConnectionAge = .seconds(1)
        settings.maxConnectionAgeGrace = .milliseconds(500)
        settings.connectionAgeJitter = 0
    }

    private func aged(_ bench: RelayBench, _ count: Int = 1) async throws -> Bool {
        try await eventually { bench.registry.total(.downstreamConnectionsAged) == count }
    }

    @Test("a connection is asked to go at its age, its calls come to their end, and a new one works")
    func goesAtItsAge() async throws {
        let task = try await ScriptedTask.start(Self.bidirectional)
        try await RelayBench.run(
            endpoints: [task.endpoint],
            listener: {
                $0.maxConnectionAge = .milliseconds(300)
                $0.connectionAgeJitter = 0
            }
        ) { bench in
            let started = ContinuousClock.now
            let (caller, call) = try await bench.connect(opening: [1])
            try await call.received(1)
            #expect(try await aged(bench))
            #expect(ContinuousClock.now - started >= .milliseconds(300))
            // The answer to a message comes behind the first GOAWAY, which refuses nothing.
            try await call.send([2])
            try await call.received(2)
            // On a busy machine the second one may be there already; it names the stream that is served.
            let goAways = try await caller.goAways()
            #expect(goAways.first == .max && goAways.dropFirst().allSatisfy { $0 == call.id })

            let (next, nextCall) = try await bench.connect(opening: [4], finish: true)
            #expect(try await nextCall.answer().grpcStatus == "0")
            await next.close()

            try await call.send([5])
            try await call.received(3)
            try await call.send([], finish: true)
            let answer = try await call.answer()
            #expect(answer.grpcStatus == "0")
            // Nothing is left on it: it closes by itself, after the second GOAWAY.
            try await caller.channel.closeFuture.get()
            #expect(bench.registry.total(.downstreamConnectionsAged) <= 2)
        }
        await task.stop()
    }

    @Test("streams that outlast the grace end with UNAVAILABLE, and the connection closes")
    func graceEnds() async throws {
        let task = try await ScriptedTask.start(Self.bidirectional)
        try await RelayBench.run(
            endpoints: [task.endpoint],
            listener: Self.agesWithGrace
        ) { bench in
            let started = ContinuousClock.now
            let (caller, call) = try await bench.connect(opening: [1])
            try await call.received(1)
            let answer = try await call.answer()
            #expect(ContinuousClock.now - started >= .milliseconds(1_500))
            #expect(answer.grpcStatus == "14")
            #expect(answer.grpcMessage.contains("age"))
            try await caller.channel.closeFuture.get()
            #expect(bench.registry.total(.downstreamConnectionsAged) == 1)
            let isTold = try await eventually { task.requests.first?.reset == .cancel }
            #expect(isTold)
        }
        await task.stop()
    }

    @Test("who has stopped reading gets the status, too", arguments: [5_000, 200_000])
    func graceOfTheDeaf(size: Int) async throws {
        let task = try await ScriptedTask.start()
        try await RelayBench.run(
            endpoints: [task.endpoint],
            listener: Self.agesWithGrace
        ) { bench in
            let (caller, call) = try await bench.connect(
                opening: [UInt8](repeating: 1, count: size), finish: true, settings: RelayBench.deaf)
            let answer = try await call.answer()
            #expect(answer.grpcStatus == "14")
            #expect(answer.grpcMessage.contains("age"))
            try await caller.channel.closeFuture.get()
        }
        await task.stop()
    }

    @Test("a connection that ended before its age leaves no timer behind, and none is asked twice")
    func endsBefore() async throws {
        let task = try await ScriptedTask.start(Self.bidirectional)
        try await RelayBench.run(
            endpoints: [task.endpoint],
            listener: {
                $0.maxConnectionAge = .seconds(20)
                $0.connectionAgeJitter = 0
            }
        ) { bench in
            let early = try await bench.connect()
            #expect(try await early.call().grpcStatus == "0")
            await early.close()
            let caller = try await bench.connect()
            // Opened before, since a caller that has seen a GOAWAY opens no more.
            let call = try await caller.open(body: [1])
            try await call.received(1)
            bench.dataPlane.announceDrain()
            try await call.send([], finish: true)
            #expect(try await call.answer().grpcStatus == "0")
            try await caller.channel.closeFuture.get()
            #expect(bench.registry.total(.downstreamConnectionsAged) == 0)
            #expect(try await caller.goAways().first == .max)
        }
        await task.stop()
    }
}
