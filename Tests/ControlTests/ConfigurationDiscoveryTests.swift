import DNS
import Policy
import Testing

@testable import Control

@Suite("Where endpoints come from, in the configuration")
struct ConfigurationDiscoveryTests {
    @Test(
        "URLs of names and files, the cluster's port being none of their business",
        arguments: [
            ("srv://_grpc._tcp.users.local", DiscoverySource.srv(name: "_grpc._tcp.users.local")),
            ("srv:///_grpc._tcp.users.local.", .srv(name: "_grpc._tcp.users.local.")),
            ("srv://users", .srv(name: "users")),
            ("file:///etc/ekiden/tasks.yaml", .file(path: "/etc/ekiden/tasks.yaml")),
            ("file:///a b/%20/ü:1?x#y", .file(path: "/a b/%20/ü:1?x#y")),
            ("dns://users.local.:50051", .dns(name: "users.local.", port: 50_051)),
        ])
    func sources(text: String, source: DiscoverySource) throws {
        for port in [nil, 7] {
            #expect(try DiscoverySource(parsing: text, defaultPort: port) == source)
        }
        #expect(try DiscoverySource(parsing: source.description) == source)
    }

    @Test(
        "what is no such URL is refused with the way to write it",
        arguments: [
            ("srv://u:1", "'srv://u:1' has a port (SRV records hold the port; write srv://u)"),
            ("srv://", "'srv://' has no name (write srv://_grpc._tcp.name)"),
            ("srv://a..b", "'srv://a..b': 'a..b' is not a DNS name"),
            (
                "srv://8.8.8.8/u",
                "'srv://8.8.8.8/u' has a path (write srv://_grpc._tcp.name; name servers are set by dns.servers)"
            ),
            ("srv://10.0.0.1", "'srv://10.0.0.1' names an address, which needs no DNS (write static://10.0.0.1)"),
            ("srvs://u", "'srvs://u': unknown scheme 'srvs' (did you mean 'srv'?)"),
            ("fiel:///x", "'fiel:///x': unknown scheme 'fiel' (did you mean 'file'?)"),
            ("file://", "'file://' has no path (write file:///etc/ekiden/tasks.yaml)"),
            ("file:///", "'file:///' is a folder (write file:///etc/ekiden/tasks.yaml)"),
            ("file:///etc/", "'file:///etc/' is a folder (write file:///etc/ekiden/tasks.yaml)"),
            (
                "file://etc/tasks.yaml",
                "'file://etc/tasks.yaml' has no absolute path (three slashes: file:///etc/tasks.yaml)"
            ),
            (
                "file://./tasks.yaml",
                "'file://./tasks.yaml' has no absolute path (three slashes: file:///etc/ekiden/tasks.yaml)"
            ),
            (
                "file://localhost/x",
                "'file://localhost/x' has no absolute path (three slashes: file:///etc/ekiden/tasks.yaml)"
            ),
            ("file:///a\u{1B}b", "'file:///a\\u{1B}b' holds a character that cannot be seen"),
            ("file:///a\0", "'file:///a\\u{0}' holds a character that cannot be seen"),
            ("/etc/tasks.yaml", "'/etc/tasks.yaml' is not a discovery URL (write file:///etc/tasks.yaml)"),
            ("file:/etc/tasks.yaml", "'file:/etc/tasks.yaml' is not a discovery URL (write file:///etc/tasks.yaml)"),
            ("", "'' is not a discovery URL (write dns://name:port)"),
        ])
    func badSources(text: String, message: String) {
        let error = #expect(throws: ValueSyntaxError.self) { try DiscoverySource(parsing: text) }
        #expect(error?.description == message)
    }

    @Test("a port is the URL's for address records, the record's for SRV, the line's or the cluster's in a file")
    func ports() {
        let dns = DiscoverySource.dns(name: "u", port: 1)
        #expect(dns.port(named: nil, clusterPort: 3) == 1)
        #expect(dns.port(named: 2, clusterPort: 3) == 1)
        #expect(DiscoverySource.srv(name: "u").port(named: 2, clusterPort: 3) == 2)
        let file = DiscoverySource.file(path: "/t")
        #expect(file.port(named: 2, clusterPort: 3) == 2)
        #expect(file.port(named: nil, clusterPort: 3) == 3)
        #expect(file.port(named: nil, clusterPort: nil) == nil)
    }

    @Test("endpoints of a file get the cluster's port; without one they are left out and named")
    func located() {
        let file = DiscoverySource.file(path: "/t")
        let endpoints = [
            DiscoveredEndpoint(host: "10.0.0.1", port: 5), DiscoveredEndpoint(host: "fd00::2"),
            DiscoveredEndpoint(host: "10.0.0.1"), DiscoveredEndpoint(host: "10.0.0.3"),
        ]
        let all = file.located(endpoints, clusterPort: 5)
        #expect(all.endpoints.map(\.address.description) == ["10.0.0.1:5", "[fd00::2]:5", "10.0.0.3:5"])
        #expect(all.endpoints.map(\.endpoint) == [endpoints[0], endpoints[1], endpoints[3]])
        #expect(all.problem == nil)
        let some = file.located(endpoints, clusterPort: nil)
        #expect(some.endpoints.map(\.address.description) == ["10.0.0.1:5"])
        #expect(some.problem == "file:///t: fd00::2 (and 2 more) has no port, and the cluster has no 'port'")
    }

    @Test("the keys of discovery are read where they belong")
    func keys() throws {
        let loaded = try configuration(
            """
            listeners: [{listen: 127.0.0.1:1}]
            routes: [{cluster: users}]
            clusters:
              users:
                discover: [srv://u, dns://v, static://10.0.0.1]
                combine: first
                port: 7
                dns: {truncation: never, truncated_at: 9, family: ipv6, empty_after: never}
                verify_service: demo.Users
                dark_after: 2s
                dark_timeout: 4s
            dns:
              family: ipv4
              truncation: always
              truncated_at: 13
              empty_after: 30s
              search: demo.local
              ndots: 2
            """)
        let users = try #require(loaded.clusters.first)
        #expect(
            users.discover == [.srv(name: "u"), .dns(name: "v", port: 7), .fixed([.init(host: "10.0.0.1", port: 7)])])
        #expect(users.combine == .first)
        #expect(users.port == 7)
        #expect(users.settings.verifyService == "demo.Users")
        #expect(users.settings.darkAfter == .seconds(2))
        #expect(users.settings.darkTimeout == .seconds(4))
        #expect(loaded.dns.search?.map(\.description) == ["demo.local"])
        #expect(loaded.dns.ndots == 2)
        var rules = AnswerRules()
        rules.family = .ipv4
        rules.truncation = .always
        rules.truncatedAt = 13
        rules.emptyAfter = .seconds(30)
        #expect(loaded.dns.answers == rules)
        var own = AnswerRules()
        own.family = .ipv6
        own.truncation = .never
        own.truncatedAt = 9
        #expect(users.answers.applied(to: rules) == own)
        #expect(AnswerRuleOverrides().applied(to: rules) == rules)
    }

    @Test("without the keys the defaults stand; 'system', 'off' and 'never' say the same")
    func defaults() throws {
        let plain = try configuration(withTopLevel(""))
        #expect(plain.dns == DNSSettings())
        #expect(plain.clusters.first?.answers == AnswerRuleOverrides())
        #expect(plain.clusters.first?.combine == .union)
        let spelled = withTopLevel("dns: {search: system, ndots: system, empty_after: never, search: system}")
        #expect(!problems(spelled).isEmpty)
        #expect(try configuration(withTopLevel("dns: {search: system, ndots: system, empty_after: never}")) == plain)
        #expect(try configuration(withTopLevel("dns: {search: []}")).dns.search == [])
        #expect(try configuration(withTopLevel("dns: {search: [system, b.c.]}")).dns.search?.count == 2)
        #expect(try configuration(withCluster("verify_service: off")).clusters.first?.settings == ClusterSettings())
    }

    @Test(
        "wrong values in a cluster are told with path and place",
        arguments: [
            (
                "combine: unoin",
                "6:14: clusters.users.combine: 'unoin' is not one of union, first (did you mean 'union'?)"
            ),
            (
                "combine: first",
                """
                6:14: warning: clusters.users.combine: 'first' says nothing where there is one source (name \
                the next best source after it, or leave it out)
                """
            ),
            ("dns: {famly: ipv4}", "6:11: unknown key 'famly' in clusters.users.dns (did you mean 'family'?)"),
            (
                "dns: {servers: [10.0.0.1]}",
                """
                6:11: unknown key 'servers' in clusters.users.dns (expected family, truncation, truncated_at, \
                empty_after)
                """
            ),
            (
                "dns: {family: v4}",
                "6:19: clusters.users.dns.family: 'v4' is not one of both, ipv4, ipv6"
            ),
            (
                "dns: {truncated_at: 1}",
                "6:25: clusters.users.dns.truncated_at: '1' is out of range (from 2 to 1000)"
            ),
            (
                "dns: {empty_after: 100ms}",
                "6:24: clusters.users.dns.empty_after: '100ms' is out of range (from 1s to 168h, or never)"
            ),
            (
                "dns: never",
                "6:10: clusters.users.dns: expected a mapping, found a single value (write 'key: value' pairs)"
            ),
            (
                "verify_service: /demo.Users",
                "6:21: clusters.users.verify_service: '/demo.Users' is not a gRPC service (write package.Service)"
            ),
            ("verify_service:", "6:20: clusters.users.verify_service: expected a gRPC service or 'off', found nothing"),
            ("dark_after: 0s", "6:17: clusters.users.dark_after: '0s' is out of range (from 1ms to 1h)"),
            (
                "dark_after: 3s",
                "6:17: clusters.users.dark_after (3s) is not less than clusters.users.dark_timeout (3s)"
            ),
            (
                "dark_timeout: 500ms",
                "4:3: clusters.users.dark_after (1s) is not less than clusters.users.dark_timeout (500ms)"
            ),
        ])
    func clusterValues(line: String, expected: String) {
        #expect(problems(withCluster(line)) == [expected])
    }

    @Test(
        "wrong values in dns are told with path and place",
        arguments: [
            ("family: ipv5", "4:15: dns.family: 'ipv5' is not one of both, ipv4, ipv6 (did you mean 'ipv4'?)"),
            ("truncation: on", "4:19: dns.truncation: 'on' is not one of auto, never, always"),
            ("truncated_at: 1001", "4:21: dns.truncated_at: '1001' is out of range (from 2 to 1000)"),
            (
                "empty_after: nevr",
                "4:20: dns.empty_after: 'nevr' is not a duration (write a duration like 250ms, 5s, 1m30s or 1h)"
            ),
            ("search: a..b", "4:15: dns.search: 'a..b' is not a DNS domain (write a list like [demo.local])"),
            (
                "search: [demo.local, \"a b\"]",
                "4:28: dns.search[1]: 'a b' is not a DNS domain (write a list like [demo.local])"
            ),
            ("search: {}", "4:15: dns.search: expected a DNS domain or 'system', found a mapping"),
            ("ndots: 16", "4:14: dns.ndots: '16' is out of range (from 0 to 15, or system)"),
            ("serch: []", "4:7: unknown key 'serch' in dns (did you mean 'search'?)"),
        ])
    func dnsValues(pair: String, expected: String) {
        #expect(problems(withTopLevel("dns: {\(pair)}")) == [expected])
    }

    @Test("a file that is not there is a warning at its place")
    func missingFile() {
        let reason = "cannot be read now: No such file or directory"
        let hint = "(the cluster has none of its endpoints until the file is there)"
        let alone = withTopLevel("").replacing("dns://u:1", with: "file:///no/t.yaml")
        #expect(problems(alone) == ["3:30: warning: /no/t.yaml \(reason) \(hint)"])
        let second = withTopLevel("").replacing("dns://u:1", with: "[dns://u:1, file:///no/t.yaml]")
        #expect(problems(second) == ["3:42: warning: /no/t.yaml \(reason) \(hint)"])
        #expect(problems(withTopLevel("").replacing("dns://u:1", with: "file:///dev/null")).isEmpty)
    }
}
