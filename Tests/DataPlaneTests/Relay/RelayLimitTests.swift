import HTTP2
import NIOCore
import Policy
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import DataPlane

@Suite("Relay: limits, and what is left to do at them")
struct RelayLimitTests {
    private static func attributes(_ version: String) -> EndpointTraits {
        EndpointTraits(attributes: ["version": version])
    }

    @Test("a retry that finds no connection ends, whoever else is in the cluster")
    func outOfConnections() async throws {
        // Fails and says good-bye, so that its connection counts and takes nothing.
        let leaving = try await ScriptedTask.start { request, moment in
            guard moment == .end else { return }
            request.goAway(last: request.streamID)
            request.sendTrailersOnly([(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "14")])
        }
        let other = try await ScriptedTask.start()
        let outsider = try await ScriptedTask.start()
        var cluster = ClusterSettings()
        cluster.breakers.maxConnections = 1
        var route = RouteSettings()
        route.subset = ["version": "2"]
        route.retry.grpcStatuses = [.unavailable]
        route.retry.backoffBase = .zero
        let endpoints = [leaving.endpoint, other.endpoint, outsider.endpoint]
        try await RelayBench.run(endpoints: [], cluster: cluster, route: route) { bench in
            try await bench.publish(endpoints, traits: ["2", "2", "1"].map(Self.attributes), cluster: cluster)
            let caller = try await bench.connect()
            for _ in 0..<5 {
                let answer = try await caller.call()
                #expect(answer.grpcStatus == "0" || answer.grpcStatus == "14", "\(answer)")
            }
            #expect(bench.count(.replaysUnsent) < 50)
            #expect(outsider.requests.isEmpty)
            await caller.close()
        }
        for task in [leaving, other, outsider] { await task.stop() }
    }

    @Test("connects that fail are retried by the policy on a route that may choose but some of the endpoints")
    func subsetRetries() async throws {
        let dead = try ClosedPort.endpoint()
        let outsider = try await ScriptedTask.start()
        var route = RouteSettings()
        route.subset = ["version": "2"]
        route.retry.conditions = [.connectFailure]
        route.retry.maxAttempts = 3
        route.retry.backoffBase = .milliseconds(1)
        try await RelayBench.run(endpoints: [], route: route) { bench in
            try await bench.publish([dead, outsider.endpoint], traits: ["2", "1"].map(Self.attributes))
            let caller = try await bench.connect()
            #expect(try await caller.call().grpcStatus == "14")
            #expect(bench.count(.retries) == 2)
            #expect(bench.count(.replaysUnsent) == 0)
            #expect(outsider.requests.isEmpty)
            await caller.close()
        }
        await outsider.stop()
    }

    @Test("streams that wait for a connection count against an endpoint's limit")
    func coldEndpoint() async throws {
        let active = Mutex((now: 0, most: 0))
        let task = try await ScriptedTask.start { request, moment in
            guard moment == .end else { return }
            active.withLock {
                $0.now += 1
                $0.most = max($0.most, $0.now)
            }
            // Longer than a busy machine takes to begin all calls.
            request.later(.milliseconds(1_500)) { request in
                active.withLock { $0.now -= 1 }
                ScriptedTask.echo(request, .end)
            }
        }
        var cluster = ClusterSettings()
        cluster.breakers.maxRequestsPerEndpoint = 2
        try await RelayBench.run(endpoints: [task.endpoint], cluster: cluster) { bench in
            let caller = try await bench.connect()
            var calls: [Call] = []
            for _ in 0..<10 { calls.append(try await caller.open(finish: true)) }
            var statuses: [String?] = []
            for call in calls {
                let answer = try await call.answer()
                statuses.append(answer.grpcStatus)
                if answer.grpcStatus == "14" { #expect(answer.head["grpc-retry-pushback-ms"] != nil) }
            }
            #expect(active.withLock { $0.most } == 2)
            #expect(statuses.contains("0") && statuses.contains("14"))
            let awaited = task.endpoint.awaitedStreams.load(ordering: .relaxed)
            #expect(awaited == 0)
            await caller.close()
        }
        await task.stop()
    }

    @Test("a call that finds the queue full has a connection opened for those that follow")
    func fullQueue() async throws {
        let task = try await ScriptedTask.start()
        var cluster = ClusterSettings()
        cluster.maxPendingStreams = 0
        try await RelayBench.run(endpoints: [task.endpoint], cluster: cluster) { bench in
            let caller = try await bench.connect()
            #expect(try await caller.call().grpcStatus == "14")
            let isOpen = try await eventually { task.connectionCount == 1 }
            #expect(isOpen)
            var status: String?
            for _ in 0..<200 where status != "0" {
                status = try await caller.call().grpcStatus
            }
            #expect(status == "0")
            await caller.close()
        }
        await task.stop()
    }

    @Test("what is held of requests for another attempt is accounted for, and let go over the budget")
    func heldForReplay() async throws {
        let task = try await ScriptedTask.start { _, _ in }
        try await RelayBench.run(endpoints: [task.endpoint]) { bench in
            let caller = try await bench.connect()
            let call = try await caller.open(body: [UInt8](repeating: 7, count: 3_000), finish: true)
            let isHeld = try await eventually {
                bench.registry.total(.retainedBytes) == 3_000 && bench.registry.total(.bufferedBytes) == 0
            }
            #expect(isHeld)
            try await call.cancel()
            await caller.close()
        }
        await task.stop()
    }

    @Test("an attempt whose time passes before it has a stream goes to another endpoint, policy or not")
    func perTryTimeoutOfWaiting() async throws {
        let hole = try await BlackHole.open()
        let task = try await ScriptedTask.start()
        var route = RouteSettings()
        // As long as a busy machine may take to connect.
        route.perTryTimeout = .milliseconds(1_500)
        var cluster = ClusterSettings()
        cluster.connectTimeout = .seconds(10)
        cluster.pendingTimeout = .seconds(10)
        try await RelayBench.run(endpoints: [hole.endpoint, task.endpoint], cluster: cluster, route: route) { bench in
            let caller = try await bench.connect()
            for _ in 0..<2 { #expect(try await caller.call().grpcStatus == "0") }
            #expect(bench.count(.retries) == 0)
            #expect(bench.count(.replaysUnsent) > 0)
            await caller.close()
        }
        await task.stop()
        await hole.close()
    }

    @Test("a task hears how long it has when its stream starts, not when the call began to wait for it")
    func deadlineAfterWaiting() async throws {
        var settings = SessionSettings()
        settings.maxConcurrentStreams = 1
        let task = try await ScriptedTask.start(settings: settings) { request, moment in
            ScriptedTask.echo(request, moment)
        }
        var cluster = ClusterSettings()
        cluster.maxConnectionsPerEndpoint = 1
        cluster.pendingTimeout = .seconds(60)
        try await RelayBench.run(endpoints: [task.endpoint], cluster: cluster) { bench in
            let caller = try await bench.connect()
            let first = try await caller.open()
            let isThere = try await eventually { task.requests.count == 1 }
            #expect(isThere)
            let second = try await caller.open(fields: Caller.grpc + [("grpc-timeout", "20S")], finish: true)
            let isWaiting = try await eventually { bench.count(.pendingStreams) == 1 }
            #expect(isWaiting)
            try await Task.sleep(for: .milliseconds(500))
            try await first.send([], finish: true)
            #expect(try await first.answer().grpcStatus == "0")
            #expect(try await second.answer().grpcStatus == "0")
            let told = Array((task.requests.last?.fields["grpc-timeout"] ?? "").utf8)
            let left = GRPCTimeout.nanoseconds(told.span) ?? .max
            #expect(left < 19_600_000_000)
            await caller.close()
        }
        await task.stop()
    }

    @Test("a malformed head of one attempt leaves the call to the other")
    func malformedHead() async throws {
        let bad = try await ScriptedTask.start { request, moment in
            guard moment == .end else { return }
            request.later(.milliseconds(200)) { $0.sendTrailersOnly([(":status", "999")]) }
        }
        let good = try await ScriptedTask.start { request, moment in
            guard moment == .end else { return }
            request.later(.milliseconds(500)) { ScriptedTask.echo($0, .end) }
        }
        var route = RouteSettings()
        route.hedging = HedgingPolicy()
        route.hedging?.delay = .milliseconds(10)
        try await RelayBench.run(endpoints: [bad.endpoint, good.endpoint], route: route) { bench in
            let caller = try await bench.connect()
            #expect(try await caller.call().grpcStatus == "0")
            await caller.close()
        }
        for task in [bad, good] { await task.stop() }
    }

    @Test("whether a port is free is asked without taking connections")
    func portCheck() async throws {
        let taken = try await ScriptedTask.start()
        #expect(throws: IOError.self) {
            try PortCheck.expectFree(host: "127.0.0.1", port: taken.endpoint.address.port)
        }
        await taken.stop()
        try PortCheck.expectFree(host: "127.0.0.1", port: taken.endpoint.address.port)
        #expect(throws: IOError.self) { try PortCheck.expectFree(host: "192.0.2.77", port: 1) }
    }
}
