import Policy
import TestSupport
import Testing

@testable import Control

@Suite("The effective configuration")
struct ConfigurationEffectiveTests {
    private static let docs = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined() + "/docs/examples"

    private func reloaded(_ configuration: Configuration) throws -> Configuration {
        try ConfigurationLoader.load(text: EffectiveConfiguration.render(configuration), file: "effective").get()
            .configuration
    }

    @Test("the examples of the documentation load without a warning", arguments: ["ekiden.yaml", "full.yaml"])
    func examples(name: String) throws {
        let loaded = try ConfigurationLoader.load(path: "\(Self.docs)/\(name)", environment: [:]).get()
        #expect(loaded.warnings.isEmpty)
        #expect(try reloaded(loaded.configuration) == loaded.configuration)
    }

    @Test("the full example shows every key, with its default")
    func fullExample() throws {
        let bytes = try readFile("\(Self.docs)/full.yaml", atMost: 1 << 20)
        let words = Set(String(decoding: bytes, as: UTF8.self).split { !$0.isLetter && $0 != "_" }.map(String.init))
        for path in ConfigurationSchema.fields.flatMap(\.leaves) {
            for key in path.split(whereSeparator: { ".[]*".contains($0) }) {
                #expect(words.contains(String(key)), "\(path)")
            }
        }
        let full = try ConfigurationLoader.load(bytes: bytes, file: "full.yaml").get().configuration
        #expect(full.listeners.map(\.limits) == [Limits()])
        #expect(full.clusters.map(\.settings) == [ClusterSettings(), ClusterSettings()])
        #expect(full.dns == DNSSettings())
        #expect(full.drain == DrainSettings())
        #expect(full.workers == nil)
        #expect(full.admin?.allowRemote == false)
        let listener = try #require(full.listeners.first)
        #expect(listener == ListenerSettings(name: listener.name, address: listener.address))
    }

    @Test("the example for two services has at most ten lines")
    func shortExample() throws {
        let text = String(decoding: try readFile("\(Self.docs)/ekiden.yaml", atMost: 1 << 20), as: UTF8.self)
        #expect(text.split(separator: "\n").count <= 10)
        #expect(try configuration(text).clusters.count == 2)
    }

    @Test("every limit and every setting has a key")
    func noFieldWithoutKey() {
        func snakeCase(_ name: String) -> String {
            name.reduce(into: "") { $0 += $1.isUppercase ? "_" + $1.lowercased() : String($1) }
        }
        let limits = Mirror(reflecting: Limits()).children.compactMap { $0.label.map(snakeCase) }
        #expect(LimitsSchema.fields.map(\.key) == limits)
        let leaves = ConfigurationSchema.fields.flatMap(\.leaves)
        let ownKeys = leaves.filter {
            $0.hasPrefix("clusters.*.") && !$0.contains(".limits.") && $0 != "clusters.*.port"
        }
        // One key for `discover`, one per setting, `limits` aside.
        #expect(ownKeys.count == Mirror(reflecting: ClusterSettings()).children.count)
        #expect(leaves.filter { $0.hasPrefix("dns.") }.count == Mirror(reflecting: DNSSettings()).children.count)
        #expect(leaves.filter { $0.hasPrefix("drain.") }.count == Mirror(reflecting: DrainSettings()).children.count)
    }

    @Test("what is printed loads again to the same")
    func roundTrip() throws {
        var limits = Limits()
        limits.prefaceTimeout = .milliseconds(1_234)
        limits.maxHeaderBytes = 65_537
        limits.prematureResetRatio = 0.125
        limits.maxConnections = 7
        var settings = ClusterSettings()
        settings.balance = .leastRequest
        settings.timeout = .milliseconds(90_500)
        settings.noEndpointWait = .zero
        settings.pendingTimeout = .zero
        settings.maxConnectAttempts = 9
        settings.keepaliveInterval = .seconds(61)
        settings.replayBufferBytes = 0
        settings.limits = limits
        var configuration = Configuration(
            admin: AdminSettings(listen: .ip(host: "::", port: 9_901), allowRemote: true),
            listeners: [
                ListenerSettings(
                    name: "$mesh", address: .ip(host: "::1", port: 0), limits: limits, forwardedFor: .remove,
                    via: true),
                ListenerSettings(name: "日本:", address: .unix(path: "/run/a$b.sock")),
                ListenerSettings(name: "true", address: .ip(host: "0.0.0.0", port: 2)),
                ListenerSettings(name: "007", address: .ip(host: "0.0.0.0", port: 3)),
            ],
            routes: [
                RouteRule(name: "~", authority: "*.demo.local", service: "a.b.C", method: "D", cluster: "null"),
                RouteRule(authority: "[::1]:50", pathPrefix: "/a/$b'\"", cluster: "a.b$c"),
                RouteRule(authority: "*", service: "X", cluster: "a.b$c"),
                RouteRule(cluster: "#x\\"),
            ],
            clusters: [
                ClusterRule(name: "null", discover: [.dns(name: "u.local.", port: 1)], settings: settings),
                ClusterRule(
                    name: "a.b$c",
                    discover: [
                        .fixed([.init(host: "10.0.0.1", port: 1), .init(host: "fd00::1", port: 65_535)]),
                        .dns(name: "x", port: 2),
                    ]),
                ClusterRule(name: "#x\\", discover: [.dns(name: "x", port: 2)]),
            ],
            workers: 1_024)
        configuration.dns.servers = [.init(host: "127.0.0.1", port: 5_353), .init(host: "fd00::53", port: 53)]
        configuration.dns.minTTL = .milliseconds(100)
        configuration.drain.delay = .zero
        #expect(try reloaded(configuration) == configuration)
    }

    @Test("whatever the values are, printing and loading change nothing", arguments: 0..<20)
    func randomRoundTrip(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var settings = ClusterSettings()
        settings.connectTimeout = .microseconds(Int64.random(in: 1_000...3_600_000_000, using: &random))
        settings.idleTimeout = .milliseconds(Int64.random(in: 60_000...600_000_000, using: &random))
        settings.replayBufferBytes = Int.random(in: 0...(1 << 26), using: &random)
        settings.limits.prematureResetRatio = Double.random(in: 0...1, using: &random)
        settings.limits.connectionWindowBytes = Int.random(in: 65_535...2_147_483_647, using: &random)
        let alphabet = Array("aZ0_-.:/,$#&*!|>%@`'[]{}?~=\\é日")
        let name = String((0..<12).map { _ in alphabet[Int.random(in: alphabet.indices, using: &random)] })
        let configuration = Configuration(
            listeners: [ListenerSettings(name: name, address: .ip(host: "127.0.0.1", port: 1))],
            routes: [RouteRule(name: name, cluster: name)],
            clusters: [ClusterRule(name: name, discover: [.dns(name: "x", port: 2)], settings: settings)])
        #expect(try reloaded(configuration) == configuration)
    }
}
