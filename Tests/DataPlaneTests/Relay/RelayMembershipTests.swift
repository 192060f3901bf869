import HTTP2
import NIOCore
import Policy
import Synchronization
import Telemetry
import Testing

@testable import DataPlane

@Suite("Relay over loopback: tasks and callers that come and go", .timeLimit(.minutes(1)))
struct RelayMembershipTests {
    private static let bidirectional: ScriptedTask.Script = { request, moment in
        switch moment {
        case .head: request.sendHead()
        case .data: request.send(Array(request.body.suffix(1)))
        case .end: request.end([("grpc-status", "0")])
        }
    }

    @Test("a stream on a task that left the set goes on to its end; new ones go elsewhere")
    func endpointRemoved() async throws {
        let leaving = try await ScriptedTask.start(Self.bidirectional)
        let staying = try await ScriptedTask.start(Self.bidirectional)
        try await RelayBench.run(endpoints: [leaving.endpoint]) { bench in
            let caller = try await bench.connect()
            let call = try await caller.open(body: [1])
            try await call.received(1)
            try await bench.publish([staying.endpoint])
            #expect(try await caller.call(body: [7]).body == [7])
            try await call.send([2])
            try await call.received(2)
            try await call.send([], finish: true)
            let answer = try await call.answer()
            #expect(answer.body == [1, 2] && answer.grpcStatus == "0")
            #expect(leaving.requests.count == 1)
            #expect(staying.requests.count == 1)
            // With its last stream the connection goes.
            let isClosed = try await eventually { leaving.endpoint.connections.load(ordering: .relaxed) == 0 }
            #expect(isClosed)
            await caller.close()
        }
        await leaving.stop()
        await staying.stop()
    }

    @Test("a cluster that left the configuration ends its streams, and calls no task any more")
    func clusterRemoved() async throws {
        let task = try await ScriptedTask.start(Self.bidirectional)
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connect()
            let call = try await caller.open(body: [1])
            try await call.received(1)
            try await bench.dataPlane.publishAndWait(Snapshot(version: 100, routes: RouteTable([]), clusters: []))
            #expect(try await caller.call().reason == "no_route")
            try await call.send([2], finish: true)
            #expect(try await call.answer().body == [1, 2])
            await caller.close()
        }
        await task.stop()
    }

    @Test("an older snapshot changes nothing")
    func olderSnapshot() async throws {
        let task = try await ScriptedTask.start()
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            try await bench.dataPlane.publishAndWait(Snapshot(version: 0, routes: RouteTable([]), clusters: []))
            let caller = try await bench.connect()
            #expect(try await caller.call().grpcStatus == "0")
            await caller.close()
        }
        await task.stop()
    }

    @Test("a caller that vanishes leaves nothing behind, however much is on its way")
    func callerVanishes() async throws {
        let task = try await ScriptedTask.start { request, moment in
            guard moment == .head else { return }
            request.sendHead()
            request.send([UInt8](repeating: 1, count: 500_000))
        }
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            for _ in 0..<3 {
                let caller = try await bench.connect()
                var calls: [Call] = []
                for _ in 0..<10 {
                    calls.append(try await caller.open(body: [UInt8](repeating: 2, count: 100_000)))
                }
                try await calls[9].received(1)
                await caller.close()
            }
            let isTold = try await eventually { task.requests.allSatisfy { $0.reset == .cancel } }
            #expect(isTold)
            #expect(task.connectionCount == 1)
        }
        await task.stop()
    }

    @Test("a task that vanishes fails its streams and no other's")
    func taskVanishes() async throws {
        let vanishing = try await ScriptedTask.start(Self.bidirectional)
        let staying = try await ScriptedTask.start(Self.bidirectional)
        try await RelayBench.run(endpoints: [vanishing.endpoint, staying.endpoint]) { bench in
            let caller = try await bench.connect()
            var calls: [Call] = []
            for _ in 0..<6 {
                let call = try await caller.open(body: [1])
                try await call.received(1)
                calls.append(call)
            }
            await vanishing.stop()
            var statuses: [String?] = []
            for call in calls {
                try await call.send([2], finish: true)
                statuses.append(try await call.answer().grpcStatus)
            }
            #expect(statuses.filter { $0 == "0" }.count == 3)
            #expect(statuses.filter { $0 == "14" }.count == 3)
            // From here on nobody notices.
            for _ in 0..<4 { #expect(try await caller.call(body: [3]).grpcStatus == "0") }
            await caller.close()
        }
        await staying.stop()
    }

    @Test("drain says good-bye in two steps and lets streams end")
    func drain() async throws {
        let task = try await ScriptedTask.start(Self.bidirectional)
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connect()
            let call = try await caller.open(body: [1])
            try await call.received(1)
            bench.dataPlane.announceDrain()
            var goAways: [Int32] = []
            while goAways.count < 2 {
                let seen = goAways.count
                goAways = try await caller.goAways()
                if goAways.count == seen { try await Task.sleep(for: .milliseconds(5)) }
            }
            #expect(goAways == [.max, call.id])
            try await call.send([2], finish: true)
            #expect(try await call.answer().grpcStatus == "0")
            // The connection is closed from the other side.
            try await caller.channel.closeFuture.get()
        }
        await task.stop()
    }

    @Test("the end of the data plane's patience ends gRPC streams with UNAVAILABLE")
    func endNow() async throws {
        let task = try await ScriptedTask.start(Self.bidirectional)
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connect()
            let call = try await caller.open(body: [1])
            try await call.received(1)
            bench.dataPlane.endNow()
            let answer = try await call.answer()
            #expect(answer.trailers["grpc-status"] == "14")
            #expect(answer.reason == "draining")
            await caller.close()
        }
        await task.stop()
    }

    @Test("listeners that stay are not touched, those that leave are drained, and a bad one changes nothing")
    func listeners() async throws {
        let task = try await ScriptedTask.start()
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connect()
            #expect(try await caller.call().grpcStatus == "0")
            let first = ListenerSettings(name: "mesh", address: .ip(host: "127.0.0.1", port: 0))
            let taken = ListenerSettings(name: "taken", address: .ip(host: "192.0.2.1", port: 1))
            await #expect(throws: ListenError.self) { try await bench.dataPlane.listen([first, taken]) }
            let second = ListenerSettings(name: "second", address: .ip(host: "127.0.0.1", port: 0))
            let bound = try await bench.dataPlane.listen([first, second])
            #expect(bound.map(\.name) == ["mesh", "second"])
            #expect(bound[0].address == .ip(host: "127.0.0.1", port: bench.port))
            guard case .ip(_, let port) = bound[1].address else { return }
            let other = try await Caller.connect(to: port)
            #expect(try await other.call().grpcStatus == "0")
            try await bench.dataPlane.listen([second])
            try await caller.channel.closeFuture.get()
            #expect(try await other.call().grpcStatus == "0")
            await other.close()
        }
        await task.stop()
    }
}
