import DNS
import Policy
import TestSupport
import Testing

@testable import Control

@Suite("What the addresses of a name are")
struct DiscoveryResolutionTests {
    private let server = EndpointAddress(host: "127.0.0.1", port: 53)

    private func good(_ texts: String..., ttl: UInt32 = 5) throws -> Result<DNSAnswer, DNSFailure> {
        try good(texts, ttl: ttl)
    }

    private func good(_ texts: [String], ttl: UInt32 = 5) throws -> Result<DNSAnswer, DNSFailure> {
        let name = try #require(DNSName("users"))
        let records = texts.compactMap { IPAddress(text: $0) }.map {
            DNSRecord(name: name, type: .a, ttl: ttl, data: .address($0))
        }
        return .success(DNSAnswer(records: records, ttl: ttl, server: server))
    }

    private func bad(_ kind: DNSFailure.Kind) -> Result<DNSAnswer, DNSFailure> {
        .failure(DNSFailure(kind, name: "users", server: server))
    }

    private func hosts(_ resolution: AddressResolution) -> [String] { resolution.endpoints.map(\.host) }

    private func isGood(_ outcome: LookOutcome) -> Bool {
        if case .good = outcome.verdict { true } else { false }
    }

    /// What failed of a look that gave no endpoint.
    private func failure(_ outcome: LookOutcome) -> String? {
        switch outcome.verdict {
        case .good: nil
        case .none(let failure), .failed(let failure): failure.text
        }
    }

    @Test("both families are united, sorted and without duplicates; the smaller TTL counts")
    func union() throws {
        var resolution = AddressResolution(rules: AnswerRules())
        let outcome = resolution.record(
            AddressLookup(
                ipv4: try good("10.0.0.10", "10.0.0.2", "10.0.0.2", ttl: 9),
                ipv6: try good("fd00::1", "::ffff:10.0.0.2", ttl: 4)),
            now: .seconds(3))
        #expect(isGood(outcome))
        #expect(hosts(resolution) == ["10.0.0.2", "10.0.0.10", "fd00::1"])
        #expect(resolution.endpoints.allSatisfy { $0.port == nil && $0.isConfirmed })
        #expect(resolution.ttl == .seconds(4))
        #expect(
            outcome.events == [
                DiscoveryEvent(.answer, "4 addresses from 127.0.0.1:53"),
                DiscoveryEvent(.added, "10.0.0.2 10.0.0.10 fd00::1"),
            ])
    }

    @Test(
        "a failed look keeps the last good addresses and says why",
        arguments: [
            DNSFailure.Kind.timeout, .serverFailure, .nameError, .noData, .refused, .malformed("x"), .unreachable,
        ])
    func lastKnownGood(kind: DNSFailure.Kind) throws {
        var resolution = AddressResolution(rules: AnswerRules())
        _ = resolution.record(AddressLookup(ipv4: try good("10.0.0.1"), ipv6: bad(.noData)), now: .seconds(1))
        for _ in 0..<50 {
            let outcome = resolution.record(AddressLookup(ipv4: bad(kind), ipv6: bad(kind)), now: .seconds(2))
            #expect(failure(outcome) == DNSFailure(kind, name: "users", server: server).description)
            #expect(outcome.events.isEmpty)
        }
        #expect(hosts(resolution) == ["10.0.0.1"])
        #expect(resolution.endpoints.allSatisfy { $0.isConfirmed })
        _ = resolution.record(AddressLookup(ipv4: try good("10.0.0.2"), ipv6: bad(.noData)), now: .seconds(3))
        #expect(hosts(resolution) == ["10.0.0.2"])
    }

    @Test("a repeated answer has the same text, whatever its TTL has come down to")
    func sameText() throws {
        var resolution = AddressResolution(rules: AnswerRules())
        for ttl in [5, 4, 1] as [UInt32] {
            let outcome = resolution.record(
                AddressLookup(ipv4: try good("10.0.0.1", "10.0.0.2", ttl: ttl), ipv6: bad(.noData)), now: .zero)
            #expect(outcome.events.first?.text == "2 addresses from 127.0.0.1:53")
            #expect(resolution.ttl == .seconds(Int(ttl)))
        }
    }

    @Test("one family that fails keeps its addresses and is told, one that has none any more loses them")
    func halfAnOutage() throws {
        var resolution = AddressResolution(rules: AnswerRules())
        _ = resolution.record(AddressLookup(ipv4: try good("10.0.0.1"), ipv6: try good("fd00::1")), now: .zero)
        let half = resolution.record(AddressLookup(ipv4: bad(.timeout), ipv6: try good("fd00::2")), now: .zero)
        #expect(isGood(half))
        #expect(hosts(resolution) == ["10.0.0.1", "fd00::2"])
        #expect(half.partialFailure == "A: no DNS answer in time for users from 127.0.0.1:53, keeping 1 address")
        let none = resolution.record(AddressLookup(ipv4: bad(.noData), ipv6: try good("fd00::2")), now: .zero)
        #expect(hosts(resolution) == ["fd00::2"])
        #expect(none.partialFailure == nil)
        #expect(none.events.last == DiscoveryEvent(.expired, "10.0.0.1: not in a complete answer"))
    }

    @Test("silence about a family that never had an address is no failure")
    func silentFamily() throws {
        var resolution = AddressResolution(rules: AnswerRules())
        let outcome = resolution.record(AddressLookup(ipv4: try good("10.0.0.1"), ipv6: bad(.timeout)), now: .zero)
        #expect(isGood(outcome))
        #expect(outcome.partialFailure == nil)
    }

    @Test("a family that is no longer asked for loses its addresses with the next good answer")
    func family() throws {
        var rules = AnswerRules()
        var resolution = AddressResolution(rules: rules)
        _ = resolution.record(AddressLookup(ipv4: try good("10.0.0.1"), ipv6: try good("fd00::1")), now: .zero)
        rules.family = .ipv4
        resolution.use(rules: rules, longestTTL: .seconds(10))
        _ = resolution.record(AddressLookup(ipv4: bad(.timeout)), now: .zero)
        #expect(hosts(resolution) == ["10.0.0.1", "fd00::1"])
        _ = resolution.record(AddressLookup(ipv4: try good("10.0.0.1")), now: .zero)
        #expect(hosts(resolution) == ["10.0.0.1"])
    }

    @Test("addresses that no task can have are left out; an answer of nothing else is a failure")
    func unusable() throws {
        var resolution = AddressResolution(rules: AnswerRules())
        _ = resolution.record(
            AddressLookup(ipv4: try good("0.0.0.0", "224.0.0.1", "127.0.0.2"), ipv6: bad(.noData)), now: .zero)
        #expect(hosts(resolution) == ["127.0.0.2"])
        let outcome = resolution.record(AddressLookup(ipv4: try good("0.0.0.0"), ipv6: bad(.noData)), now: .zero)
        #expect(hosts(resolution) == ["127.0.0.2"])
        #expect(failure(outcome) == "no usable address in the DNS answer for users from 127.0.0.1:53")
    }

    @Test("no more than 1,024 addresses are taken, of both families together")
    func cap() throws {
        func many(_ make: (UInt32) -> IPAddress) throws -> Result<DNSAnswer, DNSFailure> {
            let name = try #require(DNSName("users"))
            let records = (1...1_000).map { DNSRecord(name: name, type: .a, ttl: 1, data: .address(make($0))) }
            return .success(DNSAnswer(records: records, ttl: 1, server: server))
        }
        var resolution = AddressResolution(rules: AnswerRules())
        _ = resolution.record(
            AddressLookup(
                ipv4: try many { .v4(0x0A00_0000 + $0) },
                ipv6: try many { .v6(high: 0xFD00_0000_0000_0000, low: UInt64($0)) }), now: .zero)
        #expect(resolution.endpoints.count == 1_024)
    }

    @Test(
        "of two failures the more telling one is told",
        arguments: [
            (.noData, .serverFailure, "SERVFAIL"), (.timeout, .noData, "no DNS answer in time"),
            (.noData, .noData, "NODATA"), (.nameError, .noData, "NXDOMAIN"),
        ] as [(DNSFailure.Kind, DNSFailure.Kind, String)])
    func tellingFailure(ipv4: DNSFailure.Kind, ipv6: DNSFailure.Kind, told: String) {
        var resolution = AddressResolution(rules: AnswerRules())
        let outcome = resolution.record(AddressLookup(ipv4: bad(ipv4), ipv6: bad(ipv6)), now: .zero)
        #expect(failure(outcome) == "\(told) for users from 127.0.0.1:53")
    }

    @Test(
        "only NXDOMAIN, or NODATA for each family, says that there are none; the A answer leads",
        arguments: [
            (.nameError, .nameError, true), (.noData, .noData, true), (.nameError, .timeout, true),
            (.noData, .nameError, true), (.noData, .timeout, false), (.timeout, .nameError, false),
            (.serverFailure, .noData, false), (.refused, .refused, false),
        ] as [(DNSFailure.Kind, DNSFailure.Kind, Bool)])
    func none(ipv4: DNSFailure.Kind, ipv6: DNSFailure.Kind, isNone: Bool) throws {
        let lookup = AddressLookup(ipv4: bad(ipv4), ipv6: bad(ipv6))
        #expect(lookup.saysNone == isNone)
        #expect(lookup.saysNoName == (ipv4 == .nameError))
        #expect(AddressLookup(ipv6: bad(.nameError)).saysNoName)
        #expect(!AddressLookup(ipv4: try good("10.0.0.1"), ipv6: bad(.nameError)).saysNone)
    }

    @Test("an answer of eight is a sample: those it does not name stay, unconfirmed")
    func sample() throws {
        var resolution = AddressResolution(rules: AnswerRules())
        let first = (1...8).map { "10.0.0.\($0)" }
        let second = (5...12).map { "10.0.0.\($0)" }
        var outcome = resolution.record(AddressLookup(ipv4: try good(first), ipv6: bad(.noData)), now: .zero)
        #expect(outcome.events.first?.text == "8 of an unknown number of addresses from 127.0.0.1:53")
        outcome = resolution.record(AddressLookup(ipv4: try good(second), ipv6: bad(.noData)), now: .seconds(6))
        #expect(hosts(resolution) == (1...12).map { "10.0.0.\($0)" })
        #expect(resolution.endpoints.filter { !$0.isConfirmed }.map(\.host) == (1...4).map { "10.0.0.\($0)" })
        #expect(resolution.coverage.isTruncated)
        #expect(
            outcome.events == [
                DiscoveryEvent(.answer, "8 of about 16 addresses from 127.0.0.1:53"),
                DiscoveryEvent(.added, "10.0.0.9 10.0.0.10 10.0.0.11 10.0.0.12"),
                DiscoveryEvent(.missed, "10.0.0.1 (once) 10.0.0.2 (once) 10.0.0.3 (once) 10.0.0.4 (once)"),
            ])
        #expect(!outcome.hasChanged)
        // A look that fails changes no mark.
        _ = resolution.record(AddressLookup(ipv4: bad(.serverFailure), ipv6: bad(.serverFailure)), now: .seconds(12))
        #expect(resolution.endpoints.count { !$0.isConfirmed } == 4)
        outcome = resolution.record(
            AddressLookup(ipv4: try good("10.0.0.1"), ipv6: bad(.noData)), now: .seconds(18))
        #expect(hosts(resolution) == ["10.0.0.1"])
        #expect(outcome.hasChanged)
        #expect(
            outcome.events.last?.text
                == "10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.7 10.0.0.8 10.0.0.9 and 3 more: "
                + "not in a complete answer")
    }

    @Test("an address that was missed too often goes, and the event says how often")
    func expiry() throws {
        var resolution = AddressResolution(rules: AnswerRules())
        let living = (1...8).map { "10.0.0.\($0)" }
        var events: [DiscoveryEvent] = []
        for look in 0..<60 {
            let names = look == 0 ? (2...9).map { "10.0.0.\($0)" } : living
            let outcome = resolution.record(
                AddressLookup(ipv4: try good(names), ipv6: bad(.noData)), now: .seconds(look * 6))
            events += outcome.events.filter { $0.kind == .expired }
        }
        #expect(hosts(resolution) == living)
        let event = try #require(events.first)
        #expect(events.count == 1)
        #expect(event.text.hasPrefix("10.0.0.9: missing from "))
        #expect(event.text.hasSuffix(" answers in a row"))
    }

    @Test("coverage is that of both families, as far as they have answered")
    func coverage() throws {
        let complete = Coverage(known: 3, isTruncated: false, estimated: 3, error: 0, samples: 1)
        let cut = Coverage(known: 16, isTruncated: true, estimated: 20, error: 3, samples: 4)
        let sum = Coverage.sum(complete, cut)
        #expect(sum == Coverage(known: 19, isTruncated: true, estimated: 23, error: 3, samples: 5))
        #expect(Coverage.sum(cut, nil) == cut)
        #expect(Coverage.sum(nil, nil) == .none)
        let unknown = Coverage(known: 8, isTruncated: true, estimated: nil, error: nil, samples: 1)
        #expect(Coverage.sum(complete, unknown).share == nil)
    }
}
