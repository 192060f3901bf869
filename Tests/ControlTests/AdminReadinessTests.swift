import Control
import NIOCore
import NIOPosix
import Policy
import TestSupport
import Testing

@Suite("Readiness")
struct AdminReadinessTests {
    private static let endpoint = Endpoint(address: EndpointAddress(host: "10.0.0.1", port: 50051))

    @Test("a process that neither starts nor drains, and whose clusters have resolved, is ready")
    func ready() {
        let clusters: [ClusterStatus] = [
            .test("dns", endpoints: [Self.endpoint], sources: [.dns("a.local", age: .seconds(1))]),
            .test("fixed", endpoints: [Self.endpoint], sources: [.fixed]),
        ]
        #expect(Readiness(clusters: clusters, isStarting: false, isDraining: false).isReady)
    }

    @Test("a cluster that never resolved is a reason, with the cause where there is one")
    func neverResolved() {
        let clusters: [ClusterStatus] = [
            .test("users", resolution: .failed("NXDOMAIN for users.local"), sources: [.dns("users.local")]),
            .test("orders", resolution: .pending, sources: [.dns("orders.local")]),
        ]
        let readiness = Readiness(clusters: clusters, isStarting: false, isDraining: false)
        let lines = ["cluster users: NXDOMAIN for users.local", "cluster orders: no answer of discovery yet"]
        #expect(readiness.reasons.map(\.description) == lines)
    }

    @Test(
        "a cluster that has resolved once is no reason, whatever discovery says now",
        arguments: [
            ClusterStatus.test(
                "late", hasHadEndpoints: true, resolution: .failed("SERVFAIL"),
                sources: [.dns("a.local", age: .seconds(60))]),
            .test(
                "half", hasHadEndpoints: true, resolution: .failed("SERVFAIL"),
                sources: [.dns("a.local"), .dns("b.local", age: .seconds(1))]),
            .test("emptied", hasHadEndpoints: true, resolution: .resolved, sources: [.dns("a.local"), .fixed]),
            .test("reloaded", endpoints: [endpoint], resolution: .pending, sources: [.dns("new.local")]),
        ])
    func resolvedOnce(cluster: ClusterStatus) {
        #expect(Readiness(clusters: [cluster], isStarting: false, isDraining: false).isReady)
    }

    @Test("starting and draining are reasons")
    func phases() {
        #expect(Readiness(clusters: [], isStarting: true, isDraining: false).reasons == [.starting])
        #expect(Readiness(clusters: [], isStarting: false, isDraining: true).reasons == [.draining])
    }
}

@Suite("Readiness probe")
struct ReadinessProbeTests {
    private func ask(_ address: ListenAddress, timeout: Duration = .seconds(5)) async -> ReadinessProbe.Verdict {
        await ReadinessProbe(admin: address, timeout: timeout).ask(on: MultiThreadedEventLoopGroup.singleton.next())
    }

    @Test("a ready process is OK")
    func ready() async throws {
        try await RunningAdmin.with { admin in
            let verdict = await ask(admin.address)
            #expect(verdict.isReady)
            #expect(verdict.description == "OK: ready")
        }
    }

    @Test("a process that is not ready fails with its reasons on one line")
    func notReady() async throws {
        let readiness = Readiness([.draining, .unresolved(cluster: "users", .pending)])
        try await RunningAdmin.with(readiness: readiness) { admin in
            #expect(await ask(admin.address).description == "FAIL: draining; cluster users: no answer of discovery yet")
        }
    }

    @Test("a server on a wildcard address is asked at the loopback address")
    func wildcard() async throws {
        try await RunningAdmin.with(AdminSettings(listen: .ip(host: "0.0.0.0", port: 0))) { admin in
            #expect(await ask(admin.address).isReady)
        }
    }

    @Test("nobody there fails with the address and the cause")
    func refused() async throws {
        let port = try ClosedPort.endpoint().address.port
        let expected = "FAIL: cannot connect to 127.0.0.1:\(port): connection refused"
        #expect(await ask(.ip(host: "127.0.0.1", port: port)).description == expected)
        let missing = "FAIL: cannot connect to unix:/nonexistent/admin.sock: there is no such socket"
        #expect(await ask(.unix(path: "/nonexistent/admin.sock")).description == missing)
    }

    @Test("a server that accepts and stays silent fails when the time is over")
    func silent() async throws {
        let server = try await listener { $0.eventLoop.makeSucceededVoidFuture() }
        let port = try #require(server.localAddress?.port)
        let verdict = await ask(.ip(host: "127.0.0.1", port: port), timeout: .milliseconds(50))
        #expect(verdict.description == "FAIL: no answer from 127.0.0.1:\(port) within 50ms")
        try await server.close()
    }

    @Test(
        "a server that is not Ekiden's fails",
        arguments: [
            ("SSH-2.0-x\r\n", "is not an admin server of Ekiden: no HTTP/1.1"),
            ("", "is not an admin server of Ekiden: no answer"),
            ("HTTP/1.1 404 Not Found\r\n\r\n", "answered 404 for /ready: not an admin server of Ekiden?"),
            (String(repeating: "x", count: 100_000), "is not an admin server of Ekiden: its answer has no end"),
        ])
    func stranger(answer: String, reason: String) async throws {
        let server = try await listener { channel in
            channel.writeAndFlush(ByteBuffer(string: answer)).flatMap { channel.close(mode: .output) }
        }
        let port = try #require(server.localAddress?.port)
        let verdict = await ask(.ip(host: "127.0.0.1", port: port))
        #expect(verdict.description == "FAIL: 127.0.0.1:\(port) \(reason)")
        try await server.close()
    }

    /// A server on a free port of 127.0.0.1 that does this with each connection.
    private func listener(
        _ accept: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) async throws -> any Channel {
        try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                // A channel can be written to when it is active, which it is one turn after this.
                channel.eventLoop.execute { accept(channel).whenFailure { _ in channel.close(promise: nil) } }
                return channel.eventLoop.makeSucceededVoidFuture()
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }
}
