import DNS
import Policy
import TestSupport
import Testing

@testable import Control

@Suite("What is known about a DNS name")
struct DiscoveryResolutionTests {
    private let bounds: ClosedRange<Duration> = .seconds(1)...(.seconds(10))
    private let server = EndpointAddress(host: "127.0.0.1", port: 53)

    private func good(_ texts: String..., ttl: UInt32 = 5) throws -> Result<DNSAnswer, DNSFailure> {
        let name = try #require(DNSName("users"))
        let records = texts.compactMap { IPAddress(text: $0) }.map {
            DNSRecord(name: name, type: .a, ttl: ttl, data: .address($0))
        }
        return .success(DNSAnswer(records: records, ttl: ttl, server: server))
    }

    private func bad(_ kind: DNSFailure.Kind) -> Result<DNSAnswer, DNSFailure> {
        .failure(DNSFailure(kind, name: "users", server: server))
    }

    private func pause(_ resolution: Resolution, _ seed: UInt64 = 1) -> Duration {
        var random = SeededGenerator(seed: seed)
        return resolution.pause(clampedTo: bounds, using: &random)
    }

    @Test("both families are united, sorted and without duplicates; the smaller TTL counts")
    func union() throws {
        var resolution = Resolution()
        resolution.record(
            AddressLookup(
                ipv4: try good("10.0.0.10", "10.0.0.2", "10.0.0.2", ttl: 9),
                ipv6: try good("fd00::1", "::ffff:10.0.0.2", ttl: 4)),
            now: .seconds(3))
        #expect(resolution.addresses.map(\.description) == ["10.0.0.2", "10.0.0.10", "fd00::1"])
        #expect(resolution.ttl == 4)
        #expect(resolution.lastSuccess == .seconds(3))
        #expect(resolution.failure == nil)
    }

    @Test(
        "a failed lookup keeps the last good addresses and says why",
        arguments: [
            DNSFailure.Kind.timeout, .serverFailure, .nameError, .noData, .refused, .malformed("x"), .unreachable,
        ])
    func lastKnownGood(kind: DNSFailure.Kind) throws {
        var resolution = Resolution()
        resolution.record(AddressLookup(ipv4: try good("10.0.0.1"), ipv6: bad(.noData)), now: .seconds(1))
        for _ in 0..<50 { resolution.record(AddressLookup(ipv4: bad(kind), ipv6: bad(kind)), now: .seconds(2)) }
        #expect(resolution.addresses.map(\.description) == ["10.0.0.1"])
        #expect(resolution.failure?.kind == kind)
        #expect(resolution.lastSuccess == .seconds(1))
        #expect(resolution.failures == 50)
        resolution.record(AddressLookup(ipv4: try good("10.0.0.2"), ipv6: bad(.noData)), now: .seconds(3))
        #expect(resolution.addresses.map(\.description) == ["10.0.0.2"])
        #expect(resolution.failure == nil)
        #expect(resolution.lastFailure?.kind == kind)
    }

    @Test("one family that fails keeps its addresses, one that has none any more loses them")
    func halfAnOutage() throws {
        var resolution = Resolution()
        resolution.record(AddressLookup(ipv4: try good("10.0.0.1"), ipv6: try good("fd00::1")), now: .zero)
        resolution.record(AddressLookup(ipv4: bad(.timeout), ipv6: try good("fd00::2")), now: .zero)
        #expect(resolution.addresses.map(\.description) == ["10.0.0.1", "fd00::2"])
        #expect(resolution.failure == nil)
        resolution.record(AddressLookup(ipv4: bad(.noData), ipv6: try good("fd00::2")), now: .zero)
        #expect(resolution.addresses.map(\.description) == ["fd00::2"])
    }

    @Test("addresses that no task can have are left out; an answer of nothing else is a failure")
    func unusable() throws {
        var resolution = Resolution()
        resolution.record(
            AddressLookup(ipv4: try good("0.0.0.0", "224.0.0.1", "127.0.0.2"), ipv6: bad(.noData)), now: .zero)
        #expect(resolution.addresses.map(\.description) == ["127.0.0.2"])
        resolution.record(AddressLookup(ipv4: try good("0.0.0.0"), ipv6: bad(.noData)), now: .zero)
        #expect(resolution.addresses.map(\.description) == ["127.0.0.2"])
        #expect(resolution.failure?.description == "no usable address in the DNS answer for users from 127.0.0.1:53")
    }

    @Test("no more than 1,024 addresses are taken")
    func cap() throws {
        let name = try #require(DNSName("users"))
        let records = (1...2_000).map {
            DNSRecord(name: name, type: .a, ttl: 1, data: .address(.v4(0x0A00_0000 + UInt32($0))))
        }
        var resolution = Resolution()
        resolution.record(
            AddressLookup(
                ipv4: .success(DNSAnswer(records: records, ttl: 1, server: server)), ipv6: bad(.noData)), now: .zero)
        #expect(resolution.addresses.count == 1_024)
    }

    @Test("of two failures the more telling one is kept")
    func tellingFailure() {
        var resolution = Resolution()
        resolution.record(AddressLookup(ipv4: bad(.noData), ipv6: bad(.serverFailure)), now: .zero)
        #expect(resolution.failure?.kind == .serverFailure)
        resolution.record(AddressLookup(ipv4: bad(.timeout), ipv6: bad(.noData)), now: .zero)
        #expect(resolution.failure?.kind == .timeout)
        resolution.record(AddressLookup(ipv4: bad(.noData), ipv6: bad(.noData)), now: .zero)
        #expect(resolution.failure?.kind == .noData)
    }

    @Test(
        "the TTL is clamped and jittered by a tenth",
        arguments: [(0, 1), (1, 1), (5, 5), (10, 10), (300, 10), (.max, 10)] as [(UInt32, Int)])
    func ttlPause(ttl: UInt32, seconds: Int) throws {
        var resolution = Resolution()
        resolution.record(AddressLookup(ipv4: try good("10.0.0.1", ttl: ttl), ipv6: bad(.noData)), now: .zero)
        let pauses = (0..<200).map { pause(resolution, $0) }
        #expect(pauses.allSatisfy { $0 >= .seconds(seconds) * 0.9 && $0 <= .seconds(seconds) * 1.1 })
        #expect(Set(pauses).count > 100)
    }

    @Test("failures back off from one second to thirty, and a good answer ends that")
    func backOff() throws {
        var resolution = Resolution()
        for expected in [1, 2, 4, 8, 16, 30, 30] + Array(repeating: 30, count: 100) {
            resolution.record(AddressLookup(ipv4: bad(.timeout), ipv6: bad(.timeout)), now: .zero)
            let pause = pause(resolution)
            #expect(pause >= .seconds(expected) * 0.9 && pause <= .seconds(expected) * 1.1)
        }
        resolution.record(AddressLookup(ipv4: try good("10.0.0.1", ttl: 2), ipv6: bad(.noData)), now: .zero)
        #expect(pause(resolution) <= .seconds(2) * 1.1)
    }
}
