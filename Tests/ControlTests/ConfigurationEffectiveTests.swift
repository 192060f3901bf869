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
        // A file of the example is not there.
        let warnings = loaded.warnings.filter { !$0.message.hasPrefix("/etc/ekiden/tasks.yaml cannot be read now: ") }
        #expect(warnings.isEmpty)
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

    @Test("the example of resilience loads and can be read at a glance; its file is not there")
    func resilienceExample() throws {
        let loaded = try ConfigurationLoader.load(path: "\(Self.docs)/resilience.yaml", environment: [:]).get()
        #expect(loaded.warnings.count <= 1)
        #expect(loaded.warnings.allSatisfy { $0.message.hasPrefix("/etc/ekiden/users.yaml cannot be read now: ") })
        #expect(try reloaded(loaded.configuration) == loaded.configuration)
        let bytes = try readFile("\(Self.docs)/resilience.yaml", atMost: 1 << 20)
        #expect(bytes.count { $0 == UInt8(ascii: "\n") } <= 60)
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
        #expect(full.clusters.first?.settings == ClusterSettings())
        var optional = ClusterSettings()
        optional.healthCheck = HealthCheckSettings()
        optional.breakers.adaptive = AdaptiveLimitSettings()
        optional.zone = ZonePreference(own: "eu-central-1a")
        #expect(full.clusters.last?.settings == optional)
        #expect(full.routes.first?.settings == RouteSettings())
        var extras = RouteSettings()
        extras.idempotent = .all
        extras.hedging = HedgingPolicy()
        extras.rateLimit = RateLimitSettings()
        extras.rateLimit?.perCaller = CallerRateLimitSettings()
        extras.fault = FaultPolicy()
        extras.fault?.header = (name: "x-fault", value: nil)
        extras.fault?.abort = .grpc(.unavailable)
        #expect(full.routes.dropFirst().first?.settings == extras)
        #expect(full.overload == OverloadSettings())
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
        let listener = ListenerSettings(name: "", address: .ip(host: "", port: 0))
        func count(_ prefix: String) -> Int { leaves.count { $0.hasPrefix(prefix) } }
        // One per setting and per property of the rule, those aside that are sections or the mapping's key.
        let sections = [
            "limits", "dns", "outlier_detection", "health_check", "circuit_breakers", "retry_budget", "zone",
        ]
        let ownKeys = count("clusters.*.") - sections.reduce(0) { $0 + count("clusters.*.\($1).") }
        let settings = properties(ClusterSettings()) - (sections.count - 1)
        let rule = Mirror(reflecting: ClusterRule(name: "", discover: [])).children
        #expect(ownKeys == settings + rule.count { !["name", "answers", "settings"].contains($0.label) })
        #expect(count("clusters.*.outlier_detection.") == properties(OutlierSettings()))
        // The probe has six keys.
        #expect(count("clusters.*.health_check.") == properties(HealthCheckSettings()) - 1 + 6)
        let breakers = properties(CircuitBreakerSettings()) - 1 + properties(AdaptiveLimitSettings())
        #expect(count("clusters.*.circuit_breakers.") == breakers)
        #expect(count("clusters.*.retry_budget.") == properties(RetryBudgetSettings()))
        #expect(count("clusters.*.zone.") == properties(ZonePreference(own: "")))
        #expect(count("overload.") == properties(OverloadSettings()))
        #expect(count("listeners[].") == properties(listener) - 1 + properties(Limits()))
        // The rules for answers are keys of `dns` themselves, and of a cluster's `dns`.
        let rules = Mirror(reflecting: AnswerRules()).children.count
        #expect(Mirror(reflecting: AnswerRuleOverrides()).children.count == rules)
        #expect(leaves.filter { $0.hasPrefix("clusters.*.dns.") }.count == rules)
        let ofNames = Mirror(reflecting: DNSSettings()).children.count { $0.label != "answers" }
        #expect(leaves.filter { $0.hasPrefix("dns.") }.count == ofNames + rules)
        #expect(count("drain.") == properties(DrainSettings()))
    }

    @Test("every setting of a route has a key")
    func noRouteSettingWithoutKey() {
        let leaves = ConfigurationSchema.fields.flatMap(\.leaves)
        func count(_ prefix: String) -> Int { leaves.count { $0.hasPrefix("routes[].\(prefix)") } }
        // Three kinds of trigger have one key.
        #expect(count("retry.") == properties(RetryPolicy()) - 2)
        #expect(count("hedging.") == properties(HedgingPolicy()))
        #expect(count("rate_limit.") == properties(RateLimitSettings()) - 1 + properties(CallerRateLimitSettings()))
        #expect(count("fault.") == properties(FaultPolicy()))
        let sections = ["retry.", "hedging.", "rate_limit.", "fault."].reduce(0) { $0 + count($1) }
        #expect(count("") - sections == properties(RouteSettings()) - 4 + properties(RouteRule(cluster: "")) - 1)
    }

    private func properties(_ value: some Any) -> Int { Mirror(reflecting: value).children.count }

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
