import Policy
import Testing

@testable import Control

@Suite("Resilience of clusters, listeners and the process, in the configuration")
struct ConfigurationResilienceTests {
    private func settings(_ line: String, environment: [String: String] = [:]) throws -> ClusterSettings {
        let loaded = try configuration(withCluster(line), environment: environment)
        let printed = try configuration(EffectiveConfiguration.render(loaded))
        #expect(printed == loaded)
        return try #require(loaded.clusters.first).settings
    }

    @Test(
        "without the keys the defaults stand, and the words for nothing say the same",
        arguments: [
            "outlier_detection: {}", "outlier_detection: {enabled: true, failure_share: off, latency_factor: off}",
            "health_check: off", "health_check:", "circuit_breakers: {}",
            "circuit_breakers: {max_connections: off, max_requests: off, adaptive: off}", "retry_budget: {}",
            "slow_start: off", "panic_threshold: 0", "hash_on: peer", "zone: off",
        ])
    func defaults(line: String) throws {
        #expect(try settings(line) == ClusterSettings())
    }

    @Test("when endpoints are ejected")
    func outlier() throws {
        var expected = OutlierSettings()
        expected.isEnabled = false
        #expect(try settings("outlier_detection: off").outlier == expected)
        expected = OutlierSettings()
        expected.consecutiveFailures = 0
        expected.grpcStatuses = [.unavailable, .deadlineExceeded]
        expected.httpStatuses = [500]
        expected.interval = .seconds(1)
        expected.successRateDeviations = nil
        expected.failureShare = 0.85
        expected.latencyFactor = 5
        expected.minimumEndpoints = 2
        expected.minimumRequests = 10
        expected.ejectionBase = .milliseconds(500)
        expected.ejectionMax = .seconds(5)
        expected.maxEjectedShare = 1
        let causes = "success_rate_deviations: off, failure_share: 0.85, latency_factor: 5, consecutive_failures: 0"
        let statuses = "grpc_statuses: [unavailable, DEADLINE_EXCEEDED], http_statuses: 500"
        let rest = "interval: 1s, minimum_endpoints: 2, minimum_requests: 10, max_ejected_share: 1"
        let times = "ejection_base: 500ms, ejection_max: 5s"
        #expect(try settings("outlier_detection: {\(causes), \(statuses), \(rest), \(times)}").outlier == expected)
    }

    @Test("what is asked of endpoints, one of three kinds")
    func healthCheck() throws {
        var expected = HealthCheckSettings()
        #expect(try settings(#"health_check: {grpc: ""}"#).healthCheck == expected)
        expected.probe = .grpc(service: "demo.Users", watch: true)
        #expect(try settings("health_check: {grpc: demo.Users, watch: true}").healthCheck == expected)
        // The default timeout is no longer than the interval.
        expected.probe = .tcp
        (expected.interval, expected.timeout) = (.milliseconds(500), .milliseconds(500))
        #expect(try settings("health_check: {tcp: true, interval: 500ms}").healthCheck == expected)
        expected = HealthCheckSettings()
        expected.probe = .http(path: "/health?full=$1", statuses: 200...299, version: .http2)
        #expect(try settings("health_check: {http: \"/health?full=$1\"}").healthCheck == expected)
        expected.probe = .http(path: "/", statuses: 204...204, version: .http1)
        let http = "http: /, statuses: 204, http_version: http/1.1"
        #expect(try settings("health_check: {\(http), tcp: false}").healthCheck == expected)
        expected.probe = .tcp
        expected.interval = .seconds(5)
        expected.timeout = .milliseconds(300)
        expected.jitter = 0
        expected.healthyThreshold = 1
        expected.unhealthyThreshold = 5
        let pace = "interval: 5s, timeout: 300ms, jitter: 0, healthy_threshold: 1, unhealthy_threshold: 5"
        #expect(try settings("health_check: {tcp: true, \(pace)}").healthCheck == expected)
    }

    @Test("limits of a cluster, and what repeats may add")
    func breakers() throws {
        var expected = CircuitBreakerSettings()
        expected.maxConnections = 10
        expected.maxRequests = 100
        expected.maxRequestsPerEndpoint = 20
        expected.maxRetries = 0
        expected.adaptive = AdaptiveLimitSettings()
        let counts = "max_connections: 10, max_requests: 100, max_requests_per_endpoint: 20, max_retries: 0"
        #expect(try settings("circuit_breakers: {\(counts), adaptive: {}}").breakers == expected)
        expected = CircuitBreakerSettings()
        expected.adaptive = AdaptiveLimitSettings()
        expected.adaptive?.minimum = 5
        expected.adaptive?.maximum = 5
        expected.adaptive?.interval = .milliseconds(100)
        expected.adaptive?.relearnInterval = .seconds(10)
        let adaptive = "{minimum: 5, maximum: 5, interval: 100ms, relearn_interval: 10s}"
        #expect(try settings("circuit_breakers: {adaptive: \(adaptive)}").breakers == expected)
        let budget = try settings("retry_budget: {ratio: 0.5, min_per_second: 3}").retryBudget
        #expect(budget.ratio == 0.5)
        #expect(budget.minimumPerSecond == 3)
    }

    @Test("how streams are spread")
    func spreading() throws {
        for policy in BalancePolicy.allCases {
            #expect(try settings("balance: \(policy.rawValue)").balance == policy)
        }
        #expect(try settings("balance: maglev\n    hash_on: header:x-user").hashKey == .header("x-user"))
        #expect(try settings("slow_start: 30s").slowStart == .seconds(30))
        #expect(try settings("panic_threshold: 0.5").panicThreshold == 0.5)
        var zone = ZonePreference(own: "eu-central-1a")
        #expect(try settings("zone: {own: \"${Z}\"}", environment: ["Z": "eu-central-1a"]).zone == zone)
        zone.attribute = "az"
        zone.spillBelow = 1
        #expect(try settings("zone: {own: eu-central-1a, attribute: az, spill_below: 1}").zone == zone)
    }

    @Test("the age of a listener's connections")
    func connectionAge() throws {
        let text = withTopLevel("").replacing(
            "127.0.0.1:1}",
            with: "127.0.0.1:1, max_connection_age: 30m, connection_age_jitter: 0, max_connection_age_grace: 0s}")
        let loaded = try configuration(text)
        #expect(try configuration(EffectiveConfiguration.render(loaded)) == loaded)
        let listener = try #require(loaded.listeners.first)
        #expect(listener.maxConnectionAge == .seconds(1_800))
        #expect(listener.connectionAgeJitter == 0)
        #expect(listener.maxConnectionAgeGrace == .zero)
        let off = text.replacing("30m", with: "off").replacing("0s", with: "off").replacing(
            "jitter: 0,", with: "jitter: 0.1,")
        #expect(try configuration(off) == configuration(withTopLevel("")))
        let useless = text.replacing("30m", with: "off")
        #expect(
            problems(useless) == [
                """
                1:112: warning: listeners[0].max_connection_age_grace says nothing without 'max_connection_age' (add \
                'max_connection_age: 30m')
                """
            ])
    }

    @Test("overload of the process, and how it is switched off")
    func overload() throws {
        func overload(_ text: String) throws -> OverloadSettings {
            let loaded = try configuration(withTopLevel("overload: \(text)"))
            #expect(try configuration(EffectiveConfiguration.render(loaded)) == loaded)
            return loaded.overload
        }
        #expect(try overload("{}") == OverloadSettings())
        var expected = OverloadSettings()
        expected.isEnabled = false
        #expect(try overload("off") == expected)
        expected.maxStreams = 10
        expected.maxDescriptorShare = 0.5
        expected.maxBufferShare = 1
        expected.maxLoopLag = .milliseconds(50)
        let all =
            "{enabled: false, max_streams: 10, max_descriptor_share: 0.5, max_buffer_share: 1, max_loop_lag: 50ms}"
        #expect(try overload(all) == expected)
    }

    @Test(
        "wrong values in a cluster are told with path and place",
        arguments: [
            (
                "outlier_detection: {interval: 0s}",
                "6:35: clusters.users.outlier_detection.interval: '0s' is out of range (from 1ms to 1h)"
            ),
            (
                "outlier_detection: never",
                """
                6:24: clusters.users.outlier_detection: expected a mapping, found a single value (write 'key: value' \
                pairs)
                """
            ),
            (
                "outlier_detection: {latency_factor: 1}",
                "6:41: clusters.users.outlier_detection.latency_factor: '1' is out of range (from 1.1 to 1000, or off)"
            ),
            (
                "outlier_detection: {http_statuses: [200]}",
                """
                6:41: clusters.users.outlier_detection.http_statuses[0]: '200' is not an HTTP status that fits here \
                (from 400 to 599)
                """
            ),
            (
                "outlier_detection: {ejection_base: 10m}",
                """
                6:40: clusters.users.outlier_detection.ejection_base (10m) is more than \
                clusters.users.outlier_detection.ejection_max (5m)
                """
            ),
            (
                "outlier_detection: {consecutive_failures: 0, success_rate_deviations: off}",
                """
                6:24: warning: clusters.users.outlier_detection ejects nobody: it has no cause to (write 'off', or set \
                one of the causes)
                """
            ),
            (
                "outlier_detection: {grpc_statuses: [internal, not_found]}",
                """
                6:40: warning: clusters.users.outlier_detection.grpc_statuses: not_found is the caller's fault (one \
                bad caller would get the endpoints ejected)
                """
            ),
            ("health_check: {}", "6:19: clusters.users.health_check says nothing to ask (\(probes))"),
            (
                "health_check: {http: /, tcp: true}",
                "6:19: clusters.users.health_check has http and tcp (\(probes))"
            ),
            (
                "health_check: {http: /, watch: true}",
                """
                6:19: clusters.users.health_check has 'watch' without 'grpc' (only gRPC's health service can \
                be watched)
                """
            ),
            (
                "health_check: {tcp: true, statuses: 200}",
                "6:19: clusters.users.health_check has 'statuses' without 'http' (leave it out)"
            ),
            (
                "health_check: {http: /, statuses: 299-200}",
                """
                6:39: clusters.users.health_check.statuses: '299-200' is not a range of HTTP statuses (write 200-299, \
                or 200)
                """
            ),
            (
                "health_check: {http: health}",
                "6:26: clusters.users.health_check.http: 'health' is not a path (write it like /health)"
            ),
            (
                "health_check: {tcp: true, healthy_threshold: 0}",
                "6:50: clusters.users.health_check.healthy_threshold: '0' is out of range (from 1 to 1000)"
            ),
            (
                "health_check: {tcp: true, timeout: 11s}",
                """
                6:40: clusters.users.health_check.timeout (11s) is more than clusters.users.health_check.interval (10s)
                """
            ),
            (
                "circuit_breakers: {max_requests: 0}",
                "6:38: clusters.users.circuit_breakers.max_requests: '0' is out of range (from 1 to 10000000, or off)"
            ),
            (
                "circuit_breakers: {max_connections: 0}",
                """
                6:41: clusters.users.circuit_breakers.max_connections: '0' is out of range (from 1 to 10000000, or \
                off)
                """
            ),
            (
                "circuit_breakers: {max_requests: 10, max_requests_per_endpoint: 20}",
                """
                6:69: warning: clusters.users.circuit_breakers.max_requests_per_endpoint (20) is more than \
                clusters.users.circuit_breakers.max_requests (10) (no endpoint ever has so many)
                """
            ),
            (
                "circuit_breakers: {adaptive: {minimum: 2000}}",
                """
                6:44: clusters.users.circuit_breakers.adaptive.minimum (2000) is more than \
                clusters.users.circuit_breakers.adaptive.maximum (1000)
                """
            ),
            (
                "retry_budget: {ratio: 20}",
                "6:27: clusters.users.retry_budget.ratio: '20' is not a number from 0 to 1"
            ),
            (
                "hash_on: x-user",
                "6:14: clusters.users.hash_on: 'x-user' is nothing to hash (write peer, or header:x-user)"
            ),
            (
                "balance: ring_hash\n    hash_on: header:X-User",
                """
                7:14: clusters.users.hash_on: 'X-User' is not in lower case, as names are in HTTP/2 (did you mean \
                'x-user'?)
                """
            ),
            (
                "hash_on: header:x-user",
                """
                6:14: warning: clusters.users.hash_on says nothing with 'balance: round_robin' (set 'balance: \
                ring_hash' or 'balance: maglev')
                """
            ),
            (
                "slow_start: 30s\n    balance: maglev",
                """
                6:17: warning: clusters.users.slow_start says nothing with 'balance: maglev' (a key has its endpoint, \
                new or not)
                """
            ),
            ("slow_start: 0s", "6:17: clusters.users.slow_start: '0s' is out of range (from 10ms to 168h, or off)"),
            ("panic_threshold: 50", "6:22: clusters.users.panic_threshold: '50' is not a number from 0 to 1"),
            (
                "balance: weighted_round_robin",
                """
                6:14: clusters.users.balance: 'weighted_round_robin' is not one of \(balances) (round_robin goes by \
                weight)
                """
            ),
            (
                "outlier_detection: on",
                """
                6:24: clusters.users.outlier_detection: expected a mapping, found a single value (write {} for the \
                defaults, or off)
                """
            ),
            (
                "circuit_breakers: {adaptive: true}",
                """
                6:34: clusters.users.circuit_breakers.adaptive: expected a mapping, found a single value (write {} for \
                the defaults, or off)
                """
            ),
            (
                "circuit_breakers: off",
                """
                6:23: clusters.users.circuit_breakers: expected a mapping, found a single value (leave it out: each of \
                its limits is off until it is set)
                """
            ),
            (
                "retry_budget: off",
                """
                6:19: clusters.users.retry_budget: expected a mapping, found a single value (write {ratio: 1} for one \
                retry per request, or 0 for ratio and min_per_second)
                """
            ),
            ("timeout: 0", "6:14: clusters.users.timeout: '0' is out of range (from 10ms to 168h, or off)"),
            (
                "health_check:",
                "6:18: warning: clusters.users.health_check is empty, and so it is off (give it its keys, or write off)"
            ),
            (
                "zone: {own: a}",
                """
                6:11: warning: clusters.users.zone: no endpoint of the cluster has attributes (they come from file:// \
                sources only)
                """
            ),
            ("zone: eu-1", "6:11: clusters.users.zone: \(mapping) (write {own: eu-1})"),
            ("zone: eu 1", "6:11: clusters.users.zone: \(mapping) (write {own: \"eu 1\"})"),
            ("zone: on", "6:11: clusters.users.zone: \(mapping) (write 'key: value' pairs, or off)"),
            ("lb_policy: random", "6:5: unknown key 'lb_policy' in clusters.users (did you mean 'balance'?)"),
            ("zone: {attribute: az}", "6:11: clusters.users.zone has no 'own'"),
            (
                "zone: {own: \"${ZONE}\"}",
                """
                6:18: clusters.users.zone.own: environment variable 'ZONE' is not set (set it, or write \
                ${ZONE:-default})
                """
            ),
        ])
    func clusterValues(line: String, expected: String) {
        #expect(problems(withCluster(line)) == [expected])
    }

    @Test(
        "a budget, a limit or a buffer of nothing is told where a route asks for retries",
        arguments: [
            (
                "retry_budget: {ratio: 0, min_per_second: 0}",
                "6:19: warning: clusters.users.retry_budget allows no retries, and routes[0] asks for them"
            ),
            (
                "circuit_breakers: {max_retries: 0}",
                """
                6:37: warning: clusters.users.circuit_breakers.max_retries allows no retries, and routes[0] asks for \
                them
                """
            ),
            (
                "replay_buffer: 0",
                """
                6:20: warning: clusters.users.replay_buffer holds no request, and routes[0] asks for retries (what was \
                sent of a request cannot be sent again)
                """
            ),
        ])
    func noRetries(line: String, expected: String) {
        let text = withCluster(line)
        #expect(problems(text).isEmpty)
        let retrying = "{cluster: users, retry: {on: unavailable}}"
        #expect(problems(text.replacing("{cluster: users}", with: retrying)) == [expected])
        let hedging = "{cluster: users, idempotent: true, hedging: {}}"
        #expect(problems(text.replacing("{cluster: users}", with: hedging)) == [expected])
    }

    @Test(
        "wrong values at the top level are told with path and place",
        arguments: [
            ("overload: {max_streams: 0}", "4:25: overload.max_streams: '0' is out of range (from 1 to 100000000)"),
            (
                "overload: {max_buffer_share: 0}",
                "4:30: overload.max_buffer_share: '0' is out of range (from 0.01 to 1)"
            ),
            ("overload: {enabeld: false}", "4:12: unknown key 'enabeld' in overload (did you mean 'enabled'?)"),
            (
                "dns: {search: [a, b, c, d, e, f, g.local]}",
                """
                4:34: warning: dns.search: only the first 6 domains are tried (each one costs a failing name another \
                question)
                """
            ),
        ])
    func topLevel(lines: String, expected: String) {
        #expect(problems(withTopLevel(lines)) == [expected])
    }

    fileprivate static let balances = BalancePolicy.allCases.map(\.rawValue).joined(separator: ", ")
    fileprivate static let mapping = "expected a mapping, found a single value"
    fileprivate static let probes = "write one of 'grpc: \"\"', 'http: /health' and 'tcp: true'"
}
