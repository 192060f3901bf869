import Policy
import Testing

@testable import Control

@Suite("The configuration loader")
struct ConfigurationLoaderTests {
    @Test("a diagnostic is printed like a compiler's")
    func rendering() {
        let text = "listeners:\n  - lisen: :1\n"
        guard case .failure(let error) = ConfigurationLoader.load(text: text, file: "ekiden.yaml") else {
            Issue.record("loaded")
            return
        }
        let expected = """
            ekiden.yaml:2:5: error: unknown key 'lisen' in listeners[0] (did you mean 'listen'?)
              - lisen: :1
                ^
            """
        #expect(error.diagnostics.map { $0.rendered(color: false) }.contains(expected))
        #expect(error.rendered(color: true).contains("\u{1B}[1;31merror:"))
        #expect(!error.rendered(color: false).contains("\u{1B}"))
    }

    @Test(
        "wrong values in a cluster are told with path and place",
        arguments: [
            (
                "balance: round-robin",
                """
                6:14: clusters.users.balance: 'round-robin' is not one of round_robin, least_request, peak_ewma, \
                random, ring_hash, maglev (did you mean 'round_robin'?)
                """
            ),
            (
                "balance: [round_robin]",
                """
                6:14: clusters.users.balance: expected one of round_robin, least_request, peak_ewma, random, \
                ring_hash, maglev, found a list
                """
            ),
            (
                "balance:",
                """
                6:13: clusters.users.balance: expected one of round_robin, least_request, peak_ewma, random, \
                ring_hash, maglev, found nothing
                """
            ),
            ("balanse: x", "6:5: unknown key 'balanse' in clusters.users (did you mean 'balance'?)"),
            ("connect_timeout: 5", "6:22: clusters.users.connect_timeout: '5' has no unit (write 5s or 5ms)"),
            (
                "connect_timeout: off",
                """
                6:22: clusters.users.connect_timeout: 'off' is not a duration (write a duration like 250ms, \
                5s, 1m30s or 1h)
                """
            ),
            ("connect_timeout: 0s", "6:22: clusters.users.connect_timeout: '0s' is out of range (from 1ms to 1h)"),
            ("max_pending: -1", "6:18: clusters.users.max_pending: '-1' is out of range (from 0 to 10000000)"),
            ("max_pending: many", "6:18: clusters.users.max_pending: 'many' is not a whole number"),
            (
                "keepalive: 10s",
                "6:16: clusters.users.keepalive: expected a mapping, found a single value (write 'key: value' pairs)"
            ),
            (
                "keepalive: {intervall: 10s}",
                "6:17: unknown key 'intervall' in clusters.users.keepalive (did you mean 'interval'?)"
            ),
            (
                "keepalive: {timeout: 10m}",
                "6:26: clusters.users.keepalive.timeout (10m) is more than clusters.users.idle_timeout (5m)"
            ),
            (
                "connect_backoff: 1m",
                "6:22: clusters.users.connect_backoff (1m) is more than clusters.users.connect_backoff_max (30s)"
            ),
            (
                "limits: {max_header_bytes: 1MiB}",
                """
                6:32: clusters.users.limits.max_header_bytes (1048576) is more than \
                clusters.users.limits.hard_header_bytes (262144)
                """
            ),
            (
                "limits: {stream_window_bytes: 3GiB}",
                "6:35: clusters.users.limits.stream_window_bytes: '3GiB' is out of range (from 1024 to 2147483647)"
            ),
            ("port: 0", "6:11: clusters.users.port: '0' is out of range (from 1 to 65535)"),
            (
                "timeout: ${T}",
                "6:14: clusters.users.timeout: environment variable 'T' is not set (set it, or write ${T:-default})"
            ),
            (
                "timeout: \"${T:-5}s${U}\"",
                "6:23: clusters.users.timeout: environment variable 'U' is not set (set it, or write ${U:-default})"
            ),
            ("timeout: ${T", "6:14: clusters.users.timeout: '${' without its '}' (write $$ for a plain $)"),
            (
                "timeout: ${T?}",
                """
                6:14: clusters.users.timeout: '?' after the variable's name 'T' is not understood (write \
                ${NAME} or ${NAME:-default})
                """
            ),
            (
                "timeout: ${1}",
                "6:14: clusters.users.timeout: '${1}' is not a variable (write ${NAME} or ${NAME:-default})"
            ),
            ("timeout: \"5s\\n\"", "6:14: clusters.users.timeout: the value holds the control character U+A"),
        ])
    func clusterValues(line: String, expected: String) {
        #expect(problems(withCluster(line)) == [expected])
    }

    @Test(
        "what does not fit together is told at its place",
        arguments: [
            (
                "admin: {listen: 0.0.0.0:9901}",
                """
                4:17: the admin server would be reachable from outside on 0.0.0.0:9901 (listen on \
                127.0.0.1, or set admin.allow_remote: true)
                """
            ),
            (
                "admin: {listen: \":1\", allow_remote: true}",
                "4:17: the admin server listens on 0.0.0.0:1 like the listener '127.0.0.1:1'"
            ),
            (
                "admin: {listen: 127.0.0.1:1}",
                "4:17: the admin server listens on 127.0.0.1:1 like the listener '127.0.0.1:1'"
            ),
            ("admin: {}", "4:8: admin has no 'listen'"),
            ("drain: {delay: 26s}", "4:16: drain.delay (26s) is more than drain.timeout (25s)"),
            ("drain: {timeout: 3s}", "4:8: drain.delay (5s) is more than drain.timeout (3s)"),
            ("dns: {min_ttl: 20s}", "4:16: dns.min_ttl (20s) is more than dns.max_ttl (10s)"),
            (
                "dns: {servers: [127.0.0.1, localhost]}",
                "4:28: dns.servers[1]: 'localhost' is not an IP address (names are resolved only in dns:// URLs)"
            ),
            ("workers: 0", "4:10: workers: '0' is out of range (from 1 to 1024, or auto)"),
            ("workers: 1025", "4:10: workers: '1025' is out of range (from 1 to 1024, or auto)"),
            ("workers: ~", "4:10: workers: expected a whole number or 'auto', found nothing"),
            ("cluster: {}", "4:1: unknown key 'cluster' at the top level (did you mean 'clusters'?)"),
            ("[]: 1", "4:1: a key must be a name, not a collection"),
        ])
    func crossChecks(lines: String, expected: String) {
        #expect(problems(withTopLevel(lines)) == [expected])
    }

    @Test(
        "routes and listeners are checked against each other and the clusters",
        arguments: [
            ("[{cluster: userz}]", ["2:20: routes[0] names the unknown cluster 'userz' (did you mean 'users'?)"]),
            ("[{match: {method: Get}, cluster: users}]", ["2:27: routes[0].match has a 'method' but no 'service'"]),
            (
                "[{match: {service: a.B, path: /x}, cluster: users}]",
                ["2:39: routes[0].match has both 'path' and 'service' (keep one of them)"]
            ),
            (
                "[{match: {path: x}, cluster: users}]",
                ["2:25: routes[0].match.path: 'x' does not begin with '/' (did you mean '/x'?)"]
            ),
            (
                "[{match: {service: /a.B/}, cluster: users}]",
                ["2:28: routes[0].match.service: '/a.B/' is not a gRPC service (write package.Service)"]
            ),
            (
                "[{match: {service: a.B, method: a.B/C}, cluster: users}]",
                [
                    """
                    2:41: routes[0].match.method: 'a.B/C' is not a gRPC method (write its name alone, \
                    without the service)
                    """
                ]
            ),
            (
                "[{match: {authority: \"a.*\"}, cluster: users}]",
                [
                    """
                    2:30: routes[0].match.authority: 'a.*' is not an authority (write users.local, \
                    users.local:50051 or *.local)
                    """
                ]
            ),
            ("[{match: {authority: x}}]", ["2:10: routes[0] has no 'cluster'"]),
            (
                "[{cluster: users}, {cluster: users}]",
                ["2:28: warning: routes[1] is never reached: routes[0] matches every request"]
            ),
            (
                "[{name: a, match: {path: /a}, cluster: users}, {name: a, cluster: users}]",
                ["2:63: routes[1] has the name 'a' of routes[0]"]
            ),
            ("[]", ["2:9: there is no route, so no request would reach a cluster (add 'routes: [{cluster: users}]')"]),
            ("{cluster: users}", ["2:9: routes: expected a list, found a mapping (begin each element with '- ')"]),
        ])
    func routes(routes: String, expected: [String]) {
        let text = withTopLevel("").replacing("[{cluster: users}]", with: routes)
        #expect(problems(text).filter { !$0.contains("no route leads to") } == expected)
    }

    @Test("listeners have their own names and addresses")
    func listeners() {
        let names = withTopLevel("").replacing(
            "[{listen: 127.0.0.1:1}]", with: "[{listen: 127.0.0.1:1, name: a}, {listen: 127.0.0.1:2, name: a}]")
        #expect(problems(names) == ["1:73: listeners[1] has the name 'a' of listeners[0]"])
        let addresses = withTopLevel("").replacing(
            "[{listen: 127.0.0.1:1}]", with: "[{listen: 127.0.0.1:1}, {listen: 127.0.0.1:1}]")
        #expect(problems(addresses) == ["1:45: listeners[1] listens on 127.0.0.1:1 like listeners[0]"])
        let none = withTopLevel("").replacing("[{listen: 127.0.0.1:1}]", with: "[]")
        #expect(problems(none) == ["1:12: there is no listener (add 'listeners: [{listen: 127.0.0.1:15001}]')"])
    }

    @Test("all errors are told at once, in the order of the file")
    func allErrors() {
        let text = """
            workers: none
            listeners:
              - {listen: users:1, via: perhaps, limits: {max_headers: 1}}
            routes:
              - {cluster: orders, match: {paths: /}}
            clusters:
              users: {discover: [dns://u, "static://h:1"], port: x}
              "bad name": {}
            drain: [1]
            """
        #expect(
            problems(text) == [
                "1:10: workers: 'none' is not a whole number",
                "3:14: listeners[0].listen: 'users' is not an IP address (names are resolved only in dns:// URLs)",
                "3:28: listeners[0].via: 'perhaps' is not true or false",
                "3:46: unknown key 'max_headers' in listeners[0].limits (did you mean 'max_header_bytes'?)",
                "5:15: routes[0] names the unknown cluster 'orders' (expected users, bad name)",
                "5:31: unknown key 'paths' in routes[0].match (did you mean 'path'?)",
                "7:31: clusters.users.discover[1]: 'h' is not an IP address (names are resolved only in dns:// URLs)",
                "7:54: clusters.users.port: 'x' is not a whole number",
                "8:3: clusters.bad name: 'bad name' is not a name (names have no spaces and no quotes)",
                "8:15: clusters.bad name has no 'discover'",
                "9:8: drain: expected a mapping, found a list (write 'key: value' pairs)",
            ])
    }

    @Test("JSON is read like YAML")
    func json() throws {
        let text = """
            {
            \t"listeners": [{"listen": ":15001", "x_forwarded_for": "append", "via": true}],
            \t"routes": [{"match": {"service": "a.B"}, "cluster": "users"}],
            \t"clusters": {"users": {"discover": ["dns://u:1"], "timeout": "1m", "max_pending": 5}},
            \t"workers": 3
            }
            """
        let loaded = try configuration(text)
        let users = try #require(loaded.clusters.first)
        #expect(
            loaded.listeners == [
                ListenerSettings(
                    name: "0.0.0.0:15001", address: .ip(host: "0.0.0.0", port: 15_001), forwardedFor: .append, via: true
                )
            ])
        #expect(users.settings.timeout == .seconds(60))
        #expect(users.settings.maxPendingStreams == 5)
        #expect(loaded.workers == 3)
    }

    @Test("variables reach every kind of value")
    func environment() throws {
        let text = withCluster("port: ${P}\n    balance: ${B:-least_request}\n    replay_buffer: ${R:-off$$}")
            .replacing("off$$", with: "0")
        let loaded = try configuration(
            text.replacing("dns://u:1", with: "dns://${HOST}"), environment: ["P": "81", "HOST": "h.local"])
        let users = try #require(loaded.clusters.first)
        #expect(users.discover == [.dns(name: "h.local", port: 81)])
        #expect(users.settings.balance == .leastRequest)
        #expect(users.settings.replayBufferBytes == 0)
    }

    @Test("clusters, routes and listeners keep the order of the file")
    func order() throws {
        let names = (0..<50).map { "c\(($0 * 37) % 50)" }
        let clusters = names.map { "  \($0): {discover: dns://x:1}\n" }.joined()
        let loaded = try configuration(
            "listeners: [{listen: 127.0.0.1:1}]\nroutes: [{cluster: c1}]\nclusters:\n\(clusters)")
        #expect(loaded.clusters.map(\.name) == names)
    }

    @Test("a cluster that no route names is a warning")
    func unusedCluster() throws {
        let text =
            """
            listeners: [{listen: 127.0.0.1:1}]\nroutes: [{cluster: a}]\nclusters:\n  a: {discover: \
            dns://x:1}\n  b: {discover: [dns://x:1, dns://x:1]}\n
            """
        #expect(
            problems(text) == [
                "5:3: warning: no route leads to the cluster 'b'",
                "5:17: warning: clusters.b.discover has dns://x:1 twice",
            ])
        #expect(try configuration(text).summary == "OK: 1 listener, 1 route, 2 clusters")
    }
}
