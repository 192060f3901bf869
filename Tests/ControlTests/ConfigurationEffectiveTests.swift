import DNS
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

    @Test("the example of every kind of source loads; its file is not there")
    func discoveryExample() throws {
        let loaded = try ConfigurationLoader.load(path: "\(Self.docs)/discovery.yaml", environment: [:]).get()
        #expect(loaded.warnings.count <= 1)
        #expect(loaded.warnings.allSatisfy { $0.message.hasPrefix("/etc/ekiden/tasks.yaml cannot be read now: ") })
        #expect(try reloaded(loaded.configuration) == loaded.configuration)
        let kinds = loaded.configuration.clusters.flatMap(\.discover).map { "\($0)".prefix { $0 != ":" } }
        #expect(Set(kinds) == ["dns", "srv", "file", "static"])
        let tasks = try readFile("\(Self.docs)/tasks.yaml", atMost: 1 << 20)
        #expect(try EndpointFile.parse(bytes: tasks, file: "tasks.yaml").count == 5)
    }

    @Test("every rule of discovery is printed with its value")
    func printedRules() throws {
        let loaded = try configuration(withCluster("dns: {family: ipv4, empty_after: never}"))
        let text = EffectiveConfiguration.render(loaded)
        for line in [
            "    combine: union", "    dns:\n      family: ipv4\n      empty_after: never\n",
            "    verify_service: off", "    dark_after: 1s", "    dark_timeout: 3s", "  family: both",
            "  truncation: auto", "  truncated_at: 8", "  empty_after: never", "  search: system", "  ndots: system",
        ] {
            #expect(text.contains(line + (line.hasSuffix("\n") ? "" : "\n")), "\(line)")
        }
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
            $0.hasPrefix("clusters.*.") && !$0.contains(".limits.") && !$0.contains(".dns.")
        }
        // One per setting and per property of the rule, those aside that are sections or the mapping's key.
        let settings = Mirror(reflecting: ClusterSettings()).children.count { $0.label != "limits" }
        let rule = Mirror(reflecting: ClusterRule(name: "", discover: [])).children
        #expect(ownKeys.count == settings + rule.count { !["name", "answers", "settings"].contains($0.label) })
        // The rules for answers are keys of `dns` themselves, and of a cluster's `dns`.
        let rules = Mirror(reflecting: AnswerRules()).children.count
        #expect(Mirror(reflecting: AnswerRuleOverrides()).children.count == rules)
        #expect(leaves.filter { $0.hasPrefix("clusters.*.dns.") }.count == rules)
        let ofNames = Mirror(reflecting: DNSSettings()).children.count { $0.label != "answers" }
        #expect(leaves.filter { $0.hasPrefix("dns.") }.count == ofNames + rules)
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
        settings.verifyService = "demo.v1.Users"
        settings.darkAfter = .milliseconds(250)
        settings.darkTimeout = .milliseconds(251)
        var answers = AnswerRuleOverrides()
        answers.family = .ipv6
        answers.truncatedAt = 2
        var patient = AnswerRuleOverrides()
        patient.emptyAfter = .some(nil)
        patient.truncation = .always
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
                ClusterRule(
                    name: "null", port: 50_051, discover: [.dns(name: "u.local.", port: 1)], answers: answers,
                    settings: settings),
                ClusterRule(
                    name: "a.b$c",
                    discover: [
                        .fixed([.init(host: "10.0.0.1", port: 1), .init(host: "fd00::1", port: 65_535)]),
                        .dns(name: "x", port: 2),
                    ], combine: .first, answers: patient),
                ClusterRule(
                    name: "files",
                    discover: [
                        .srv(name: "_grpc._tcp.x."), .file(path: "/no/a b$c\"'.yaml"), .file(path: "/no/${X}: #.json"),
                    ]),
                ClusterRule(name: "#x\\", discover: [.dns(name: "x", port: 2)]),
            ],
            workers: 1_024)
        configuration.dns.servers = [.init(host: "127.0.0.1", port: 5_353), .init(host: "fd00::53", port: 53)]
        configuration.dns.minTTL = .milliseconds(100)
        configuration.dns.answers.family = .ipv4
        configuration.dns.answers.truncation = .never
        configuration.dns.answers.truncatedAt = 1_000
        configuration.dns.answers.emptyAfter = .seconds(90)
        configuration.dns.search = [try #require(DNSName("system")), try #require(DNSName("10.demo.local."))]
        configuration.dns.ndots = 0
        configuration.drain.delay = .zero
        #expect(try reloaded(configuration) == configuration)
        configuration.dns.search = []
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
