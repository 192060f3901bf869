import Control
import FoundationEssentials
import Policy
import Synchronization
import Telemetry
import Testing

@Suite("Admin server")
struct AdminServerTests {
    @Test("/live answers as long as the process runs, ready or not")
    func live() async throws {
        try await RunningAdmin.with(readiness: Readiness([.draining])) { admin in
            let answer = try await admin.request("GET", "/live")
            #expect(answer.status == 200)
            #expect(answer.body == "live\n")
        }
    }

    @Test("/ready answers 200 when ready")
    func ready() async throws {
        try await RunningAdmin.with { admin in
            let answer = try await admin.request("GET", "/ready")
            #expect(answer.status == 200)
            #expect(answer.body == "ready\n")
        }
    }

    @Test("/ready answers 503 and a line per reason when not ready")
    func notReady() async throws {
        let readiness = Readiness([.draining, .unresolved(cluster: "users", .failed("NXDOMAIN for users.local"))])
        try await RunningAdmin.with(readiness: readiness) { admin in
            let answer = try await admin.request("GET", "/ready")
            #expect(answer.status == 503)
            #expect(answer.body == "draining\ncluster users: NXDOMAIN for users.local\n")
        }
    }

    @Test("/metrics joins what workers count with discovery, the process and the caller's own")
    func metrics() async throws {
        let registry = MetricsRegistry()
        registry.makeClusterBlock(cluster: "users").add(ClusterMetric.cell(grpcStatus: 0), 7)
        let paused = Endpoint(address: EndpointAddress(host: "10.0.0.2", port: 50051))
        paused.recordUnreachable(now: .max / 2, base: 1, ceiling: 1)
        let cluster = ClusterStatus.test(
            "users", endpoints: [Endpoint(address: EndpointAddress(host: "10.0.0.1", port: 50051)), paused],
            sources: [
                .dns("a.local", age: .milliseconds(1_500), failures: 2),
                .dns("b.local", age: .milliseconds(2_500), failures: 1), .fixed,
            ])
        let own = MetricFamily(.gauge, "ekiden_config_last_reload_successful", "Whether it was taken.", [.init(1)])
        try await RunningAdmin.with(clusters: [cluster], families: [own], registry: registry) { admin in
            let answer = try await admin.request("GET", "/metrics")
            #expect(answer.status == 200)
            #expect(answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
            let lines = answer.body.split(separator: "\n")
            for expected in [
                "ekiden_requests_total{cluster=\"users\",grpc_status=\"0\"} 7",
                "ekiden_endpoints{cluster=\"users\",state=\"ready\"} 1",
                "ekiden_endpoints{cluster=\"users\",state=\"unreachable\"} 1",
                "ekiden_endpoints{cluster=\"users\",state=\"ejected\"} 0",
                "ekiden_dns_answer_age_seconds{cluster=\"users\"} 2.5",
                "ekiden_discovery_failures_total{cluster=\"users\"} 3",
                "ekiden_build_info{version=\"1.2.3\"} 1",
                "ekiden_ready 1",
                "ekiden_config_last_reload_successful 1",
            ] {
                #expect(lines.contains { $0 == expected }, "\(expected)")
            }
            for name in ["process_start_time_seconds", "process_resident_memory_bytes", "process_open_fds"] {
                let value = lines.first { $0.hasPrefix("\(name) ") }?.split(separator: " ").last.flatMap { Double($0) }
                #expect(value ?? 0 > 0, "\(name)")
            }
            let types = lines.filter { $0.hasPrefix("# TYPE ") }
            #expect(types.count == Set(types).count)
        }
    }

    @Test("/clusters is JSON with every endpoint and source")
    func clusters() async throws {
        let endpoint = Endpoint(address: EndpointAddress(host: "fd00::1", port: 50051))
        endpoint.activeStreams.store(2, ordering: .relaxed)
        endpoint.streamsTotal.store(10, ordering: .relaxed)
        endpoint.failuresTotal.store(1, ordering: .relaxed)
        endpoint.connections.store(3, ordering: .relaxed)
        endpoint.health.set(.unhealthy, reason: "NOT_SERVING")
        let cluster = ClusterStatus.test(
            "us\"ers", endpoints: [endpoint],
            sources: [.dns("users.local", ttl: .seconds(5), age: .seconds(3), lastFailure: "SERVFAIL"), .fixed])
        try await RunningAdmin.with(clusters: [cluster]) { admin in
            let answer = try await admin.request("GET", "/clusters")
            #expect(answer.status == 200)
            #expect(answer.headers["content-type"] == "application/json")
            let report = try JSONDecoder().decode(Report.self, from: Data(answer.body.utf8))
            #expect(
                report
                    == Report(clusters: [
                        .init(
                            name: "us\"ers", balance: "round_robin",
                            endpoints: [
                                .init(
                                    address: "[fd00::1]:50051", state: "unhealthy", health_reason: "NOT_SERVING",
                                    active_streams: 2, streams_total: 10, failures_total: 1, connections: 3)
                            ],
                            discovery: [
                                .init(
                                    source: "dns://users.local:50051", age_seconds: 3, ttl_seconds: 5, failing: false,
                                    last_failure: "SERVFAIL"),
                                .init(source: "static://", failing: false),
                            ])
                    ]))
        }
    }

    /// The names are those of the JSON text.
    private struct Report: Decodable, Equatable {
        var clusters: [Cluster]

        struct Cluster: Decodable, Equatable {
            var name: String
            var balance: String
            var endpoints: [Endpoint]
            var discovery: [Source]
        }

        struct Endpoint: Decodable, Equatable {
            var address: String
            var state: String
            var health_reason: String?
            var ejected_for_seconds: Double?
            var active_streams: Int
            var streams_total: Int
            var failures_total: Int
            var connections: Int
        }

        struct Source: Decodable, Equatable {
            var source: String
            var age_seconds: Double?
            var ttl_seconds: Double?
            var failing: Bool
            var last_failure: String?
        }
    }

    @Test("a cluster has a timeline; asked for one that there is not, it tells those that there are")
    func timeline() async throws {
        try await RunningAdmin.with { admin in
            let answer = try await admin.request("GET", "/clusters/users/timeline")
            #expect(answer.status == 200)
            #expect(answer.body.contains("\"kind\": \"answer\""))
            #expect(answer.body.contains("\"text\": \"3 addresses\""))
            let missing = try await admin.request("GET", "/clusters/nobody/timeline")
            #expect(missing.status == 404)
            #expect(missing.body.contains("there is no cluster 'nobody'; there are: "))
            for path in ["/clusters/", "/clusters//timeline", "/clusters/timeline"] {
                #expect(try await admin.request("GET", path).status == 404)
            }
        }
    }

    @Test("/ lists the paths that there are, and each of them answers")
    func index() async throws {
        try await RunningAdmin.with { admin in
            let answer = try await admin.request("GET", "/")
            #expect(answer.status == 200)
            let paths = answer.body.split(separator: "\n").compactMap { $0.split(separator: " ").first }
            #expect(paths == ["/", "/live", "/ready", "/metrics", "/clusters", "/clusters/{name}/timeline"])
            for path in paths where !path.contains("{") {
                #expect(try await admin.request("GET", "\(path)?query").status == 200)
            }
        }
    }

    @Test("a path that is not there answers 404 in JSON", arguments: ["/nothing", "/live/", "//ready", "/%00", "*"])
    func unknownPath(path: String) async throws {
        try await RunningAdmin.with { admin in
            let answer = try await admin.request("GET", path)
            #expect(answer.status == 404)
            #expect(answer.headers["content-type"] == "application/json")
            #expect(answer.body.contains("\"error\": \"not_found\""))
        }
    }

    @Test("another method than GET answers 405", arguments: ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
    func otherMethod(method: String) async throws {
        try await RunningAdmin.with { admin in
            let answer = try await admin.request(method, "/ready")
            #expect(answer.status == 405)
            #expect(answer.headers["allow"] == "GET")
        }
    }

    @Test(
        "a request with a body is refused and its connection closed",
        arguments: ["content-length: 1000000000", "transfer-encoding: chunked"])
    func body(header: String) async throws {
        try await RunningAdmin.with { admin in
            let answer = try await admin.send("GET /ready HTTP/1.1\r\nhost: localhost\r\n\(header)\r\n\r\n")
            #expect(answer.status == 413)
        }
    }

    enum BadRequest: CaseIterable {
        case nonsense, longField, manyFields, longPath, http2Preface

        var text: String {
            let start = "GET /ready HTTP/1.1\r\nhost: localhost\r\n"
            return switch self {
            case .nonsense: "nonsense\r\n\r\n"
            case .longField: start + "x: " + String(repeating: "x", count: 50_000) + "\r\n\r\n"
            case .manyFields: start + String(repeating: "x: y\r\n", count: 500) + "\r\n"
            case .longPath: "GET /" + String(repeating: "x", count: 100_000) + " HTTP/1.1\r\nhost: localhost\r\n\r\n"
            case .http2Preface: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            }
        }
    }

    @Test("what is no request, or one of no reasonable size, is refused", arguments: BadRequest.allCases)
    func badRequest(request: BadRequest) async throws {
        try await RunningAdmin.with { admin in
            let refused = try await admin.send(request.text)
            #expect(refused.status == 400)
            let next = try await admin.request("GET", "/ready")
            #expect(next.status == 200)
        }
    }

    @Test(
        "a Host that is an address or localhost is served",
        arguments: [nil, "127.0.0.1:9901", "127.0.0.1", "[::1]:9901", "10.1.2.3", "localhost", "LOCALHOST:80"])
    func honestHost(host: String?) async throws {
        try await RunningAdmin.with { admin in
            let answer = try await admin.request("GET", "/ready", host: host)
            #expect(answer.status == 200)
        }
    }

    @Test(
        "a Host that is a name is refused: a page in a browser may have made it point here",
        arguments: [
            "attacker.example", "attacker.example:9901", "localhost.attacker.example", "127.0.0.1.a.example", "::1",
        ])
    func nameAsHost(host: String) async throws {
        try await RunningAdmin.with { admin in
            let answer = try await admin.request("GET", "/metrics", host: host)
            #expect(answer.status == 421)
            #expect(answer.body.contains("\"error\": \"wrong_host\""))
        }
    }

    @Test("any Host is served where remote callers are allowed, and over a Unix socket")
    func remoteAllowed() async throws {
        let remote = AdminSettings(listen: .ip(host: "127.0.0.1", port: 0), allowRemote: true)
        try await RunningAdmin.with(remote) { admin in
            let answer = try await admin.request("GET", "/ready", host: "admin.internal")
            #expect(answer.status == 200)
        }
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).sock").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try await RunningAdmin.with(AdminSettings(listen: .unix(path: path))) { admin in
            #expect(admin.address == .unix(path: path))
            let answer = try await admin.request("GET", "/ready", host: "admin.internal")
            #expect(answer.status == 200)
        }
    }

    @Test("a connection serves one request after another")
    func keepAlive() async throws {
        try await RunningAdmin.with { admin in
            let live = "GET /live HTTP/1.1\r\nhost: localhost\r\n\r\n"
            let last = "GET /live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
            let answer = try await admin.send(live + live + last)
            #expect(answer.status == 200)
            #expect(answer.body.split(separator: "HTTP/1.1 200 OK").count == 3)
        }
    }

    @Test("an address that is taken is an error that names it")
    func addressInUse() async throws {
        try await RunningAdmin.with { admin in
            let error = await #expect(throws: AdminListenError.self) {
                try await RunningAdmin.with(AdminSettings(listen: admin.address)) { _ in }
            }
            let cause = "the address is in use by another process"
            #expect(error?.description == "the admin server cannot listen on \(admin.address): \(cause)")
        }
    }
}
