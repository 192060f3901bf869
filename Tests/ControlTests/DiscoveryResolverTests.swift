import DNS
import Policy
import TestSupport
import Testing

@testable import Control

@Suite("A name kept resolved", .timeLimit(.minutes(1)))
struct DiscoveryResolverTests {
    private let clock = ManualClock()
    private let transport = FakeTransport()
    private let reports = Received<SourceReport>()

    /// Runs `body` beside a resolver of `users.local`.
    private func withResolver(
        _ kind: DNSQuestionKind = .addresses, name: String = "users.local", rules: AnswerRules = AnswerRules(),
        search: SearchList = .none, _ body: (NameResolver) async throws -> Void
    ) async throws {
        let resolver = NameResolver(
            name: try #require(DNSName(name)), kind: kind, isAbsolute: false, rules: rules, search: search,
            transport: transport, settings: DNSSettings(), clock: DiscoveryClock(clock),
            random: SeededGenerator(seed: 7))
        let task = Task { await resolver.run { [reports] in reports.add($0) } }
        try await body(resolver)
        task.cancel()
        await task.value
    }

    private func isAbout(_ duration: Duration, _ seconds: Int) -> Bool {
        duration >= .seconds(seconds) * 0.9 && duration <= .seconds(seconds) * 1.1
    }

    private func hosts(_ report: SourceReport) -> [String] { report.endpoints.map(\.host) }

    /// Lets the pause pass and takes the report of the look after it.
    private func nextReport() async -> SourceReport {
        clock.advance(by: await clock.nextSleep())
        return await reports.next()
    }

    @Test("the name is asked again when its TTL is over")
    func ttl() async throws {
        transport.set("users.local", .addresses(["10.0.0.1"], ttl: 5))
        try await withResolver { _ in
            let first = await reports.next()
            #expect(hosts(first) == ["10.0.0.1"])
            #expect(first.ttl == .seconds(5))
            #expect(first.coverage == Coverage(known: 1, isTruncated: false, estimated: 1, error: 0, samples: 1))
            #expect(first.attempts.map(\.type) == [.a, .aaaa])
            #expect(isAbout(await clock.nextSleep(), 5))
            transport.set("users.local", .addresses(["10.0.0.2"], ttl: 5))
            #expect(hosts(await nextReport()) == ["10.0.0.2"])
        }
    }

    @Test("failures back off while the last good answer stays")
    func backOff() async throws {
        transport.set("users.local", .addresses(["10.0.0.1"], ttl: 1))
        try await withResolver { _ in
            _ = await reports.next()
            transport.set("users.local", .failure(.serverFailure))
            for expected in [1, 1, 2, 4, 8, 16, 30, 30] {
                #expect(isAbout(await clock.nextSleep(), expected))
                let report = await nextReport()
                #expect(hosts(report) == ["10.0.0.1"])
                #expect(report.failure == "SERVFAIL for users.local from 127.0.0.1:5353")
            }
        }
    }

    @Test("the negative TTL of \"there is none\" is waited for")
    func negativeTTL() async throws {
        transport.set("users.local", .failure(.nameError, negativeTTL: 300))
        try await withResolver { _ in
            #expect(await reports.next().failure == "NXDOMAIN for users.local from 127.0.0.1:5353")
            #expect(await clock.nextSleep() == .seconds(10))
        }
    }

    @Test("with empty_after, \"there is none\" empties the name in the end")
    func empty() async throws {
        var rules = AnswerRules()
        rules.emptyAfter = .seconds(5)
        transport.set("users.local", .addresses(["10.0.0.1"], ttl: 1))
        try await withResolver(rules: rules) { _ in
            _ = await reports.next()
            transport.set("users.local", .failure(.nameError))
            var report = await nextReport()
            let first = clock.now
            while !report.endpoints.isEmpty {
                #expect(first.duration(to: clock.now) < .seconds(5))
                report = await nextReport()
            }
            #expect(first.duration(to: clock.now) >= .seconds(5))
            #expect(report.lastSuccess != nil)
            transport.set("users.local", .addresses(["10.0.0.1"], ttl: 1))
            #expect(hosts(await nextReport()) == ["10.0.0.1"])
        }
    }

    @Test("a refresh does not wait for the TTL")
    func refresh() async throws {
        transport.set("users.local", .addresses(["10.0.0.1"], ttl: 10))
        try await withResolver { resolver in
            _ = await reports.next()
            _ = await clock.nextSleep()
            clock.advance(by: .seconds(3))
            resolver.refreshNow()
            _ = await reports.next()
            #expect(transport.lookups(of: "users.local") == 2)
        }
    }

    @Test("however many refreshes come, looks start a second apart")
    func refreshRate() async throws {
        transport.set("users.local", .addresses(["10.0.0.1"], ttl: 10))
        try await withResolver { resolver in
            _ = await reports.next()
            for round in 2...5 {
                // The pause of the TTL, given up for the gap.
                while await clock.nextSleep() > .seconds(1) {
                    for _ in 0..<1_000 { resolver.refreshNow() }
                    await Task.yield()
                }
                #expect(transport.lookups(of: "users.local") == round - 1)
                _ = await nextReport()
                #expect(transport.lookups(of: "users.local") == round)
            }
        }
    }

    @Test("refreshes do not undo the back-off of a name that fails")
    func refreshWhileFailing() async throws {
        transport.set("users.local", .failure(.serverFailure))
        try await withResolver { resolver in
            _ = await reports.next()
            for (round, expected) in [1, 2, 4, 5, 5, 5, 5].enumerated() {
                resolver.refreshNow()
                while await clock.nextSleep() > .milliseconds(5_000) {
                    for _ in 0..<1_000 { resolver.refreshNow() }
                    await Task.yield()
                }
                #expect(isAbout(await clock.nextSleep(), expected))
                #expect(transport.lookups(of: "users.local") == round + 1)
                _ = await nextReport()
            }
        }
    }

    @Test("a reload does not wait for the back-off, not even where a refresh does")
    func reloadWhileFailing() async throws {
        transport.set("users.local", .failure(.nameError, negativeTTL: 300))
        try await withResolver { resolver in
            _ = await reports.next()
            resolver.refreshNow()
            #expect(await clock.nextSleep() == .seconds(10))
            clock.advance(by: .seconds(2))
            let successor = FakeTransport()
            successor.set("users.local", .addresses(["10.0.0.7"], ttl: 5))
            await resolver.use(
                transport: successor, settings: DNSSettings(), rules: AnswerRules(), search: .none)
            #expect(hosts(await reports.next()) == ["10.0.0.7"])
            #expect(clock.now.offset == .seconds(2))
        }
    }

    @Test("a silent AAAA question holds the A answer back only so long")
    func slowFamily() async throws {
        transport.set("users.local", .addresses(["10.0.0.1"], ttl: 5))
        transport.set("users.local", .silence, for: .aaaa)
        try await withResolver { _ in
            #expect(await clock.nextSleep() == DNSSettings().timeout)
            let report = await nextReport()
            #expect(hosts(report) == ["10.0.0.1"])
            #expect(report.failure == nil)
            // No server was silent for all its time: this side gave up.
            #expect(report.attempts.last?.type == .aaaa)
            #expect(report.attempts.last?.result.failure?.kind == .cancelled)
        }
    }

    @Test("only the families that are wanted are asked for", arguments: AddressFamily.allCases)
    func families(family: AddressFamily) async throws {
        var rules = AnswerRules()
        rules.family = family
        transport.set("users.local", .addresses(["10.0.0.1"], ttl: 5))
        transport.set("users.local", .addresses(["fd00::1"], ttl: 5), for: .aaaa)
        try await withResolver(rules: rules) { _ in
            #expect(await reports.next().attempts.map(\.type) == family.recordTypes)
            #expect(transport.lookups(of: "users.local") == (family == .ipv6 ? 0 : 1))
            #expect(transport.lookups(of: "users.local", .aaaa) == (family == .ipv4 ? 0 : 1))
        }
    }

    @Test("a new transport is asked at once, and the old one's end is no failure of the name")
    func newTransport() async throws {
        transport.set("users.local", .silence)
        transport.set("users.local", .silence, for: .aaaa)
        let successor = FakeTransport()
        successor.set("users.local", .addresses(["10.0.0.7"], ttl: 5))
        try await withResolver { resolver in
            while transport.lookups(of: "users.local") == 0 { await Task.yield() }
            await resolver.use(
                transport: successor, settings: DNSSettings(), rules: AnswerRules(), search: .none)
            await transport.close()
            // The gap since the look that was given up.
            let report = await nextReport()
            #expect(hosts(report) == ["10.0.0.7"])
            #expect(report.failures == 0)
        }
    }

    @Test("new rules hold for the next look, which comes at once")
    func newRules() async throws {
        transport.set("users.local", .addresses((1...8).map { "10.0.0.\($0)" }, ttl: 10))
        try await withResolver { resolver in
            #expect(await reports.next().coverage?.isTruncated == true)
            var rules = AnswerRules()
            rules.truncation = .never
            _ = await clock.nextSleep()
            clock.advance(by: .seconds(2))
            await resolver.use(transport: transport, settings: DNSSettings(), rules: rules, search: .none)
            #expect(await reports.next().coverage?.isTruncated == false)
        }
    }

    @Test("a set that is not complete is asked for at another server each time, right after the TTL")
    func filling() async throws {
        try await withResolver { _ in
            var first = 1
            var servers: [Int] = []
            for _ in 0..<18 {
                transport.set("users.local", .addresses((first..<(first + 8)).map { "10.0.0.\($0)" }, ttl: 2))
                first += 8
                _ = servers.isEmpty && first == 9 ? await reports.next() : await nextReport()
                let pause = await clock.nextSleep()
                #expect(pause >= .seconds(2) && pause <= .milliseconds(2_300))
                servers.append(transport.firstServers.last ?? -1)
            }
            // The set never overlaps, so that nobody can tell how large it is.
            #expect(servers == Array(0...16) + [0])
        }
    }

    @Test("a short name is looked for in the search domains only while it does not exist, and then kept")
    func search() async throws {
        let domains = try ["a.local", "b.local"].map { try #require(DNSName($0)) }
        transport.set("users", .failure(.serverFailure))
        try await withResolver(name: "users", search: SearchList(domains: domains, ndots: 1)) { _ in
            #expect(await reports.next().failure == "SERVFAIL for users from 127.0.0.1:5353")
            #expect(transport.lookups(of: "users.a.local") == 0)

            transport.set("users", .failure(.nameError))
            let missing = await nextReport()
            #expect(missing.failure == "NXDOMAIN for users from 127.0.0.1:5353")
            #expect(missing.attempts.map(\.name.description).contains("users.b.local"))

            transport.set("users.b.local", .addresses(["10.0.0.1"], ttl: 1))
            #expect(hosts(await nextReport()) == ["10.0.0.1"])

            transport.set("users.a.local", .addresses(["10.9.9.9"], ttl: 1))
            transport.set("users.b.local", .failure(.nameError))
            let kept = await nextReport()
            #expect(kept.failure == "NXDOMAIN for users.b.local from 127.0.0.1:5353")
            #expect(hosts(kept) == ["10.0.0.1"])
        }
    }

    // MARK: Services

    private func service(_ target: String, port: UInt16 = 50051) throws -> DNSRecord.Service {
        DNSRecord.Service(priority: 1, weight: 1, port: port, target: try #require(DNSName(target)))
    }

    @Test("services are places with ports; a target is asked for once for its own TTL")
    func services() async throws {
        transport.set("users.local", .services([try service("a.local"), try service("b.local")], ttl: 2), for: .srv)
        transport.set("a.local", .addresses(["10.0.0.1"], ttl: 9))
        transport.set("b.local", .addresses(["10.0.0.2"], ttl: 2))
        try await withResolver(.services) { _ in
            let report = await reports.next()
            #expect(hosts(report) == ["10.0.0.1", "10.0.0.2"])
            #expect(report.endpoints.map(\.port) == [50051, 50051])
            #expect(report.attempts.map(\.type) == [.srv, .a, .aaaa, .a, .aaaa])
            for _ in 2...4 { _ = await nextReport() }
            #expect(transport.lookups(of: "users.local", .srv) == 4)
            #expect(transport.lookups(of: "a.local") == 1)
            #expect(transport.lookups(of: "b.local") == 4)
            while clock.now.offset < .seconds(9) { _ = await nextReport() }
            #expect(transport.lookups(of: "a.local") == 2)
        }
    }

    @Test("a target that failed is asked for by the next look, also by one that was asked for early")
    func failedTarget() async throws {
        transport.set("users.local", .services([try service("a.local"), try service("b.local")], ttl: 10), for: .srv)
        transport.set("a.local", .addresses(["10.0.0.1"], ttl: 10))
        transport.set("b.local", .failure(.serverFailure))
        try await withResolver(.services) { resolver in
            let report = await reports.next()
            #expect(hosts(report) == ["10.0.0.1"])
            #expect(report.failure == "SERVFAIL for b.local from 127.0.0.1:5353, no address yet")
            #expect((report.answers, report.failures) == (1, 0))
            transport.set("b.local", .addresses(["10.0.0.2"], ttl: 10))
            _ = await clock.nextSleep()
            clock.advance(by: .seconds(2))
            resolver.refreshNow()
            let whole = await reports.next()
            #expect(hosts(whole) == ["10.0.0.1", "10.0.0.2"])
            #expect(whole.failure == nil)
            #expect(transport.lookups(of: "a.local") == 1)
        }
    }

    @Test("no more than eight targets are asked for at a time")
    func width() async throws {
        let targets = (1...20).map { "t\($0).local" }
        transport.set("users.local", .services(try targets.map { try service($0) }, ttl: 10), for: .srv)
        for target in targets { transport.set(target, .silence) }
        var rules = AnswerRules()
        rules.family = .ipv4
        try await withResolver(.services, rules: rules) { resolver in
            while transport.openMost < 8 { await Task.yield() }
            for _ in 0..<100 { await Task.yield() }
            #expect(transport.openMost == 8)
            await transport.close()
            // A look that was given up says nothing, and the one after it is no failure yet.
            #expect(isAbout(await clock.nextSleep(), 1))
        }
    }

    @Test("after silence about a target, those that were not asked for wait for the next look")
    func silence() async throws {
        let targets = (1...20).map { "t\($0).local" }
        transport.set("users.local", .services(try targets.map { try service($0) }, ttl: 10), for: .srv)
        for target in targets { transport.set(target, .failure(.timeout)) }
        try await withResolver(.services) { _ in
            let report = await reports.next()
            #expect(report.failures == 1)
            #expect(report.failure?.hasSuffix("; and 5 more targets") == true)
            #expect(Set(report.attempts.map(\.name)).count == 9)
            for target in targets { transport.set(target, .addresses(["10.0.0.1"], ttl: 10)) }
            let next = await nextReport()
            #expect(next.failure == nil)
            #expect(Set(next.attempts.map(\.name)).count == 21)
        }
    }

    // MARK: Both

    @Test("whatever the answers are, looks start a second apart on average", arguments: 0..<8)
    func noStorm(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        try await withResolver { resolver in
            for look in 0..<150 {
                let answers: [FakeTransport.Answer] = [
                    .addresses(["10.0.0.1"], ttl: 0), .addresses((1...8).map { "10.0.0.\($0)" }, ttl: 1),
                    .addresses((0..<8).map { "10.0.\(look).\($0)" }, ttl: 2), .failure(.nameError, negativeTTL: 0),
                    .failure(.serverFailure), .failure(.noData),
                ]
                for type in [DNSRecordType.a, .aaaa] {
                    if let answer = answers.randomElement(using: &random) {
                        transport.set("users.local", answer, for: type)
                    }
                }
                if Bool.random(using: &random) { resolver.refreshNow() }
                _ = look == 0 ? await reports.next() : await nextReport()
            }
            // Two questions make a look; one that fills a set begins with another server.
            let looks = transport.firstServers.count { $0 == 0 } / 2
            #expect(clock.now.offset >= .seconds(looks - 1) * 0.9)
        }
    }
}
