import HTTP2
import Policy
import Telemetry
import Testing

@testable import DataPlane

@Suite("Admission of requests")
struct AdmissionTests {
    private let bench = WorkerBench()
    private let pool: ClusterPool
    private static let now: Int64 = 1_000_000_000_000

    init() {
        pool = bench.pool()
    }

    private func connection(_ address: String = "10.0.0.1") -> DownstreamConnection {
        DownstreamConnection(
            worker: bench.worker, settings: ListenerSettings(name: "mesh", address: .ip(host: "127.0.0.1", port: 0)),
            peerAddress: address, onClose: {})
    }

    private func plan(_ change: (inout RateLimitSettings) -> Void) -> RoutePlan {
        var limit = RateLimitSettings()
        change(&limit)
        var settings = RouteSettings()
        settings.rateLimit = limit
        return RoutePlan(settings)
    }

    private func ask(
        _ plan: RoutePlan, _ connection: DownstreamConnection, _ fields: Fields = Caller.grpc, now: Int64 = now
    ) -> Failure? {
        Admission.refusal(
            plan: plan, pool: pool, request: .make(fields), connection: connection, worker: bench.worker, now: now)
    }

    private func served(_ plan: RoutePlan, _ connection: DownstreamConnection, _ fields: Fields = []) -> Int {
        (0..<10).count { _ in ask(plan, connection, fields) == nil }
    }

    @Test("a route without limits on a worker at ease refuses nothing")
    func plain() {
        #expect(served(.plain, connection()) == 10)
    }

    @Test("over the route's rate a request is told when to come back, and counted")
    func routeLimit() throws {
        let plan = plan {
            $0.requestsPerSecond = 10
            $0.burst = 4
        }
        let connection = connection()
        #expect(served(plan, connection) == 4)
        let failure = try #require(ask(plan, connection))
        #expect(failure.kind == .rateLimited)
        #expect(failure.message == "the route is over its rate limit (cluster users)")
        let pushback = try #require(failure.pushback)
        #expect((.milliseconds(100) ... .milliseconds(200)).contains(pushback))
        #expect(pool.counters.read(ClusterMetric.rateLimited.rawValue) == 7)
        #expect(pool.counters.read(ClusterMetric.rateLimitedCallers.rawValue) == 0)
        #expect(ask(plan, connection, now: Self.now + 100_000_000) == nil)
    }

    @Test("callers are told apart by their address")
    func byAddress() throws {
        let plan = plan {
            $0.perCaller = CallerRateLimitSettings()
            $0.perCaller?.burst = 3
        }
        // Two connections of one caller have one bucket.
        #expect(served(plan, connection("10.0.0.1")) == 3)
        #expect(served(plan, connection("10.0.0.1")) == 0)
        #expect(served(plan, connection("10.0.0.2")) == 3)
        let failure = try #require(ask(plan, connection("10.0.0.1")))
        #expect(failure.message == "the caller is over its rate limit (cluster users)")
        #expect(pool.counters.read(ClusterMetric.rateLimitedCallers.rawValue) == 25)
        #expect(pool.counters.read(ClusterMetric.rateLimited.rawValue) == 0)
    }

    @Test("callers are told apart by a header, those without it by their address")
    func byHeader() {
        let plan = plan {
            $0.perCaller = CallerRateLimitSettings()
            $0.perCaller?.burst = 3
            $0.perCaller?.header = "x-caller"
        }
        let connection = connection("10.0.0.1")
        #expect(served(plan, connection, [("x-caller", "shop")]) == 3)
        #expect(served(plan, self.connection("10.0.0.2"), [("x-caller", "shop")]) == 0)
        #expect(served(plan, connection, [("x-caller", "till")]) == 3)
        // A header that says somebody's address is not that address.
        #expect(served(plan, connection, [("x-caller", "10.0.0.1")]) == 3)
        #expect(served(plan, connection, [("x-calle", "shop")]) == 3)
    }

    private static let reasons: [(OverloadReason, WorkerMetric, String)] = [
        (.streams(7), .overloadRefusedStreams, "the proxy is overloaded: 7 exchanges are in flight"),
        (
            .buffers(99, limit: 100), .overloadRefusedBuffers,
            "the proxy is overloaded: 99 % of 100 bytes for bodies are in use"
        ),
        (.loopLag(300_000_000), .overloadRefusedLag, "the proxy is overloaded: its event loop runs 300 ms late"),
    ]

    @Test("overload refuses, says why and when to come back, and takes nothing of a rate", arguments: reasons)
    func overload(reason: OverloadReason, metric: WorkerMetric, message: String) throws {
        let plan = plan {
            $0.requestsPerSecond = 1
            $0.burst = 1
        }
        let connection = connection()
        for _ in 0..<5 { bench.worker.shed(reason) }
        #expect(served(plan, connection) == 0)
        let failure = try #require(ask(.plain, connection))
        #expect(failure.kind == .overload)
        #expect(failure.message == message)
        let pushback = try #require(failure.pushback)
        #expect((.milliseconds(100) ... .milliseconds(1_000)).contains(pushback))
        #expect(bench.worker.counters.read(metric.rawValue) == 11)
        for _ in 0..<30 { bench.worker.shed(nil) }
        #expect(served(plan, connection) == 1)
    }
}
