import DNS
import TestSupport
import Testing

@testable import Control

@Suite("A name kept resolved", .timeLimit(.minutes(1)))
struct DiscoveryResolverTests {
    private let clock = ManualClock()
    private let transport = FakeTransport()
    private let reports = Received<Resolution>()

    /// Runs `body` beside a resolver of `users.local`.
    private func withResolver(_ body: (NameResolver) async throws -> Void) async throws {
        let name = try #require(DNSName("users.local"))
        let resolver = NameResolver(
            name: name, transport: transport, settings: DNSSettings(), clock: DiscoveryClock(clock),
            random: SeededGenerator(seed: 7), report: { [reports] _, resolution in reports.add(resolution) })
        let task = Task { await resolver.run() }
        try await body(resolver)
        task.cancel()
        await task.value
    }

    private func isAbout(_ duration: Duration, _ seconds: Int) -> Bool {
        duration >= .seconds(seconds) * 0.9 && duration <= .seconds(seconds) * 1.1
    }

    @Test("the name is asked again when its TTL is over")
    func ttl() async throws {
        transport.set("users.local", .addresses(["10.0.0.1"], ttl: 5))
        try await withResolver { _ in
            #expect(await reports.next().addresses.map(\.description) == ["10.0.0.1"])
            let pause = await clock.nextSleep()
            #expect(isAbout(pause, 5))
            transport.set("users.local", .addresses(["10.0.0.2"], ttl: 5))
            clock.advance(by: pause)
            #expect(await reports.next().addresses.map(\.description) == ["10.0.0.2"])
        }
    }

    @Test("failures back off while the last good answer stays")
    func backOff() async throws {
        transport.set("users.local", .addresses(["10.0.0.1"], ttl: 1))
        try await withResolver { _ in
            _ = await reports.next()
            transport.set("users.local", .failure(.serverFailure))
            for expected in [1, 1, 2, 4, 8, 16, 30, 30] {
                let pause = await clock.nextSleep()
                #expect(isAbout(pause, expected))
                clock.advance(by: pause)
                let resolution = await reports.next()
                #expect(resolution.addresses.map(\.description) == ["10.0.0.1"])
                #expect(resolution.failure?.description == "SERVFAIL for users.local from 127.0.0.1:5353")
            }
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

    @Test("however many refreshes come, lookups start a second apart")
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
                clock.advance(by: await clock.nextSleep())
                _ = await reports.next()
                #expect(transport.lookups(of: "users.local") == round)
            }
        }
    }

    @Test("a silent AAAA question holds the A answer back only so long")
    func slowFamily() async throws {
        transport.set("users.local", .addresses(["10.0.0.1"], ttl: 5))
        transport.set("users.local", .silence, for: .aaaa)
        try await withResolver { _ in
            let patience = await clock.nextSleep()
            #expect(patience == DNSSettings().timeout)
            clock.advance(by: patience)
            let resolution = await reports.next()
            #expect(resolution.addresses.map(\.description) == ["10.0.0.1"])
            #expect(resolution.failure == nil)
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
            await resolver.use(transport: successor, settings: DNSSettings())
            await transport.close()
            // The gap since the lookup that was given up.
            clock.advance(by: await clock.nextSleep())
            let resolution = await reports.next()
            #expect(resolution.addresses.map(\.description) == ["10.0.0.7"])
            #expect(resolution.failures == 0)
        }
    }
}
