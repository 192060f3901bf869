import Policy
import Testing

@testable import Control

@Suite("The configuration without a file")
struct ConfigurationRunFlagsTests {
    private func errors(_ flags: RunFlags, _ environment: [String: String] = [:]) -> [String] {
        guard case .failure(let error) = flags.configuration(environment: environment) else { return [] }
        return error.diagnostics.map { $0.rendered(color: false) }
    }

    @Test("flags become one listener, one route and one cluster called after the upstream")
    func flags() throws {
        let flags = RunFlags(
            listen: ":15001", upstream: "dns://game-server.local:50051", admin: "127.0.0.1:9901", workers: "2",
            balance: "least_request", dnsServer: "127.0.0.1:5353,[::1]")
        let built = try flags.configuration(environment: [:]).get().configuration
        #expect(built.listeners == [ListenerSettings(name: "mesh", address: .ip(host: "0.0.0.0", port: 15_001))])
        #expect(built.routes == [RouteRule(cluster: "game-server.local")])
        #expect(built.clusters.map(\.name) == ["game-server.local"])
        #expect(built.clusters.map(\.discover) == [[.dns(name: "game-server.local", port: 50_051)]])
        #expect(built.clusters.map(\.settings.balance) == [.leastRequest])
        #expect(built.admin == AdminSettings(listen: .ip(host: "127.0.0.1", port: 9_901)))
        #expect(built.workers == 2)
        #expect(built.dns.servers == [.init(host: "127.0.0.1", port: 5_353), .init(host: "::1", port: 53)])
        #expect(try configuration(EffectiveConfiguration.render(built)) == built)
    }

    @Test("variables fill in for flags, flags win, empty variables do not count")
    func environment() throws {
        let environment = [
            "EKIDEN_LISTEN": ":1", "EKIDEN_UPSTREAM": "static://127.0.0.1:9001,127.0.0.1:9002", "EKIDEN_WORKERS": "",
            "EKIDEN_DNS_SERVER": "127.0.0.9",
        ]
        let built = try RunFlags(listen: ":2").configuration(environment: environment).get().configuration
        #expect(built.listeners.map(\.address) == [.ip(host: "0.0.0.0", port: 2)])
        #expect(built.clusters.map(\.name) == ["static"])
        #expect(built.workers == nil)
        #expect(built.dns.servers == [.init(host: "127.0.0.9", port: 53)])
        #expect(RunFlags().filled(from: ["EKIDEN_WORKERS": ""]).isEmpty)
        #expect(!RunFlags().filled(from: ["EKIDEN_ADMIN": "x"]).isEmpty)
    }

    @Test(
        "every kind of upstream makes a cluster",
        arguments: [
            ("srv://_grpc._tcp.users", "_grpc._tcp.users", DiscoverySource.srv(name: "_grpc._tcp.users")),
            ("file:///dev/null", "file", .file(path: "/dev/null")),
            ("static://10.0.0.1:1", "static", .fixed([.init(host: "10.0.0.1", port: 1)])),
            ("dns://users.:1", "users.", .dns(name: "users.", port: 1)),
        ])
    func upstreams(text: String, cluster: String, source: DiscoverySource) throws {
        let flags = RunFlags(listen: ":1")
        let loaded = try flags.configuration(environment: ["EKIDEN_UPSTREAM": text]).get()
        #expect(loaded.configuration.clusters == [ClusterRule(name: cluster, discover: [source])])
        #expect(loaded.warnings.isEmpty)
        #expect(try configuration(EffectiveConfiguration.render(loaded.configuration)) == loaded.configuration)
    }

    @Test("a file that is not there yet is a warning")
    func missingFile() throws {
        let loaded = try RunFlags(listen: ":1", upstream: "file:///no/tasks.yaml").configuration(environment: [:]).get()
        #expect(
            loaded.warnings.map { $0.rendered(color: false) } == [
                """
                --upstream: warning: /no/tasks.yaml cannot be read now: No such file or directory (the cluster \
                has none of its endpoints until the file is there)
                """
            ])
    }

    @Test("every error names the flag or the variable that it came from")
    func errorOrigins() {
        #expect(
            errors(RunFlags()) == [
                """
                --listen: error: missing; without a configuration file it is needed (for example --listen \
                127.0.0.1:15001, or EKIDEN_LISTEN)
                """,
                """
                --upstream: error: missing; without a configuration file it is needed (for example \
                --upstream dns://game-server.local:50051, or EKIDEN_UPSTREAM)
                """,
            ])
        let flags = RunFlags(listen: "x", upstream: "dns://u", admin: "0.0.0.0:1", workers: "0", balance: "rr")
        #expect(
            errors(flags, ["EKIDEN_DNS_SERVER": "ns.local", "EKIDEN_LISTEN": ":1"]) == [
                "--listen: error: 'x' has no port (write 127.0.0.1:15001, [::1]:15001 or :15001)",
                "--upstream: error: 'dns://u' has no port (write dns://u:50051)",
                """
                --balance: error: 'rr' is not one of round_robin, least_request, peak_ewma, random, ring_hash, maglev
                """,
                "--workers: error: '0' is out of range (from 1 to 1024)",
                "EKIDEN_DNS_SERVER: error: 'ns.local' is not an IP address (names are resolved only in dns:// URLs)",
                """
                --admin: error: the admin server would be reachable from outside on 0.0.0.0:1 (use a \
                loopback address, or a file with admin.allow_remote)
                """,
            ])
        let clash = RunFlags(listen: "127.0.0.1:1", upstream: "dns://u:1", admin: "127.0.0.1:1")
        #expect(errors(clash) == ["--admin: error: the admin server listens on 127.0.0.1:1 like the listener 'mesh'"])
    }
}
