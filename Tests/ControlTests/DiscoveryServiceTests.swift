import DNS
import Policy
import Testing

@testable import Control

@Suite("What the services of a name are")
struct DiscoveryServiceTests {
    private let server = EndpointAddress(host: "127.0.0.1", port: 53)
    private var resolution = ServiceResolution(rules: AnswerRules(), longestTTL: .seconds(10))

    private func name(_ text: String) throws -> DNSName { try #require(DNSName(text)) }

    private func service(
        _ target: String, port: UInt16 = 50051, priority: UInt16 = 1, weight: UInt16 = 1
    ) throws -> DNSRecord.Service {
        DNSRecord.Service(
            priority: priority, weight: weight, port: port, target: target == "." ? .root : try name(target))
    }

    private func answer(_ services: [DNSRecord.Service], ttl: UInt32 = 10) throws -> DNSAnswer {
        let owner = try name("users.local")
        return DNSAnswer(
            records: services.map { DNSRecord(name: owner, type: .srv, ttl: ttl, data: .service($0)) }, ttl: ttl,
            server: server)
    }

    private func addresses(_ target: String, _ texts: [String], ttl: UInt32) throws -> AddressLookup {
        let owner = try name(target)
        let records = texts.compactMap { IPAddress(text: $0) }.map {
            DNSRecord(name: owner, type: .a, ttl: ttl, data: .address($0))
        }
        let noData = DNSFailure(.noData, name: target, server: server)
        return AddressLookup(
            ipv4: .success(DNSAnswer(records: records, ttl: ttl, server: server)), ipv6: .failure(noData))
    }

    private func failed(_ target: String, _ kind: DNSFailure.Kind) -> AddressLookup {
        let failure = DNSFailure(kind, name: target, server: server)
        return AddressLookup(ipv4: .failure(failure), ipv6: .failure(failure))
    }

    private mutating func look(
        _ services: [DNSRecord.Service], ttl: UInt32 = 10, _ targets: [String: AddressLookup], at second: Int = 0
    ) throws -> LookOutcome {
        var lookup = ServiceLookup(services: .success(try answer(services, ttl: ttl)))
        for (text, addresses) in targets { lookup.targets[try name(text)] = addresses }
        return resolution.record(lookup, now: .seconds(second))
    }

    private var places: [String] {
        resolution.endpoints.map { EndpointAddress(host: $0.host, port: $0.port ?? 0).description }
    }

    private func failure(_ outcome: LookOutcome) -> (text: String, isNone: Bool)? {
        switch outcome.verdict {
        case .good: nil
        case .none(let failure): (failure.text, true)
        case .failed(let failure): (failure.text, false)
        }
    }

    @Test("a service is its target's addresses with its port, its priority and its weight, one at least")
    mutating func endpoints() throws {
        let outcome = try look(
            [try service("a.local", port: 1, priority: 2, weight: 7), try service("b.local", port: 2, weight: 0)],
            [
                "a.local": try addresses("a.local", ["10.0.0.1", "10.0.0.3"], ttl: 60),
                "b.local": try addresses("b.local", ["10.0.0.2"], ttl: 4),
            ])
        #expect(places == ["10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:1"])
        #expect(resolution.endpoints.map(\.traits.priority) == [2, 1, 2])
        #expect(resolution.endpoints.map(\.traits.weight) == [7, 1, 7])
        #expect(resolution.ttl == .seconds(4))
        #expect(resolution.coverage == Coverage(known: 3, isTruncated: false, estimated: 3, error: 0, samples: 1))
        #expect(
            outcome.events == [
                DiscoveryEvent(.answer, "2 records from 127.0.0.1:53"),
                DiscoveryEvent(.added, "10.0.0.1:1 10.0.0.2:2 10.0.0.3:1"),
            ])
        #expect(outcome.partialFailure == nil)
    }

    @Test("of two records for one place the lower priority number counts, equals add their weights")
    mutating func samePlace() throws {
        _ = try look(
            [
                try service("a.local", priority: 1, weight: 2), try service("b.local", priority: 1, weight: 3),
                try service("c.local", priority: 5, weight: 50),
            ],
            [
                "a.local": try addresses("a.local", ["10.0.0.1"], ttl: 5),
                "b.local": try addresses("b.local", ["10.0.0.1"], ttl: 5),
                "c.local": try addresses("c.local", ["10.0.0.1"], ttl: 5),
            ])
        #expect(places == ["10.0.0.1:50051"])
        #expect(resolution.endpoints.first?.traits == EndpointTraits(weight: 5, priority: 1))
    }

    @Test("a target is asked for again when its TTL or the longest one is over, and at each look while it fails")
    mutating func dueTargets() throws {
        let services = [try service("a.local"), try service("b.local"), try service("c.local")]
        let records = try answer(services)
        #expect(
            resolution.dueTargets(after: records, now: .zero).map(\.description) == ["a.local", "b.local", "c.local"])
        _ = try look(
            services,
            [
                "a.local": try addresses("a.local", ["10.0.0.1"], ttl: 300),
                "b.local": try addresses("b.local", ["10.0.0.2"], ttl: 4),
                "c.local": failed("c.local", .serverFailure),
            ])
        func due(_ second: Int) -> [String] {
            resolution.dueTargets(after: records, now: .seconds(second)).map(\.description)
        }
        #expect(due(1) == ["c.local"])
        #expect(due(4) == ["b.local", "c.local"])
        #expect(due(10) == ["a.local", "b.local", "c.local"])
        _ = try look(services, ["a.local": failed("a.local", .timeout)], at: 10)
        #expect(due(20) == ["b.local", "a.local", "c.local"])
        let fewer = try answer([try service("b.local")])
        #expect(resolution.dueTargets(after: fewer, now: .seconds(1)).isEmpty)
    }

    @Test("a target that fails keeps its addresses while its record stands; a new one without address is left out")
    mutating func failingTargets() throws {
        let (a, b) = (try service("a.local"), try service("b.local"))
        _ = try look([a], ["a.local": try addresses("a.local", ["10.0.0.1"], ttl: 1)])
        let outcome = try look(
            [a, b], ["a.local": failed("a.local", .nameError), "b.local": failed("b.local", .timeout)], at: 2)
        #expect(failure(outcome) == nil)
        #expect(places == ["10.0.0.1:50051"])
        #expect(resolution.endpoints.allSatisfy { $0.isConfirmed })
        #expect(
            outcome.partialFailure
                == "NXDOMAIN for a.local from 127.0.0.1:53, keeping 1 address; "
                + "no DNS answer in time for b.local from 127.0.0.1:53, no address yet")
        let last = try look([b], ["b.local": try addresses("b.local", ["10.0.0.2"], ttl: 1)], at: 4)
        #expect(places == ["10.0.0.2:50051"])
        #expect(last.partialFailure == nil)
        #expect(
            last.events.last == DiscoveryEvent(.expired, "a.local:50051 at 10.0.0.1: not in a complete answer"))
    }

    @Test("records without any address behind them change nothing, and the look has failed")
    mutating func noAddress() throws {
        _ = try look([try service("a.local")], ["a.local": try addresses("a.local", ["10.0.0.1"], ttl: 1)])
        let outcome = try look([try service("b.local")], ["b.local": failed("b.local", .nameError)], at: 2)
        #expect(failure(outcome)?.text == "NXDOMAIN for b.local from 127.0.0.1:53, no address yet")
        #expect(failure(outcome)?.isNone == false)
        #expect(places == ["10.0.0.1:50051"])
        // Nor does it count as a sight of the new record.
        #expect(resolution.dueTargets(after: try answer([try service("a.local")]), now: .zero).isEmpty)
    }

    @Test("the root as target says that there is none, for as long as the record lives")
    mutating func rootTarget() throws {
        _ = try look([try service("a.local")], ["a.local": try addresses("a.local", ["10.0.0.1"], ttl: 1)])
        let outcome = try look([try service(".", port: 0)], ttl: 7, [:])
        guard case .none(let failure) = outcome.verdict else {
            Issue.record("the root as target was taken for a place")
            return
        }
        #expect(failure.negativeTTL == .seconds(7))
        #expect(failure.text == "users.local is not available, says the SRV record from 127.0.0.1:53")
        #expect(places == ["10.0.0.1:50051"])
    }

    @Test(
        "an answer that failed keeps everything, and only NXDOMAIN and NODATA say that there is none",
        arguments: [(.nameError, true), (.noData, true), (.serverFailure, false), (.timeout, false)]
            as [(DNSFailure.Kind, Bool)])
    mutating func failedAnswer(kind: DNSFailure.Kind, isNone: Bool) throws {
        _ = try look([try service("a.local")], ["a.local": try addresses("a.local", ["10.0.0.1"], ttl: 1)])
        let failing = ServiceLookup(services: .failure(DNSFailure(kind, name: "users.local")))
        let outcome = resolution.record(failing, now: .seconds(1))
        #expect(failure(outcome)?.isNone == isNone)
        #expect(places == ["10.0.0.1:50051"])
    }

    @Test("a target that moves takes its endpoint along")
    mutating func moved() throws {
        let services = [try service("a.local")]
        _ = try look(services, ["a.local": try addresses("a.local", ["10.0.0.1"], ttl: 1)])
        let outcome = try look(services, ["a.local": try addresses("a.local", ["10.0.0.2"], ttl: 1)], at: 2)
        #expect(places == ["10.0.0.2:50051"])
        #expect(
            outcome.events.dropFirst() == [
                DiscoveryEvent(.added, "10.0.0.2:50051"),
                DiscoveryEvent(.expired, "10.0.0.1:50051: no longer an address of its target"),
            ])
    }

    @Test("coverage counts endpoints: a target with two addresses counts twice, known or not")
    mutating func coverage() throws {
        for (tasks, second) in [(1...8, 0), (5...12, 11)] {
            var targets: [String: AddressLookup] = [:]
            for task in tasks {
                let texts = ["10.0.0.\(task)", "10.0.1.\(task)"]
                targets["t\(task).local"] = try addresses("t\(task).local", texts, ttl: 60)
            }
            let outcome = try look(try tasks.map { try service("t\($0).local") }, targets, at: second)
            guard second > 0 else {
                #expect(resolution.coverage.known == 16)
                #expect(resolution.coverage.estimated == nil)
                continue
            }
            // Of records 8 · 8 / 4.
            #expect(outcome.events.first?.text == "8 of about 16 records from 127.0.0.1:53")
        }
        #expect(resolution.endpoints.count == 24)
        let coverage = resolution.coverage
        let ofRecords = try #require(SetSizeEstimate(distinct: 12, sampleSize: 8, samples: 2))
        #expect(coverage.known == 24)
        #expect(abs((coverage.estimated ?? 0) - 32) < 1e-6)
        #expect(abs((coverage.error ?? 0) - 2 * ofRecords.standardError) < 1e-6)
        #expect(abs((coverage.share ?? 0) - 0.75) < 1e-6)
    }

    @Test("eight records are a sample: the others stay, unconfirmed")
    mutating func sample() throws {
        func take(_ tasks: ClosedRange<Int>, at second: Int) throws -> LookOutcome {
            var targets: [String: AddressLookup] = [:]
            for task in tasks {
                targets["t\(task).local"] = try addresses("t\(task).local", ["10.0.0.\(task)"], ttl: 60)
            }
            return try look(try tasks.map { try service("t\($0).local") }, targets, at: second)
        }
        _ = try take(1...8, at: 0)
        let outcome = try take(3...10, at: 11)
        #expect(resolution.endpoints.count == 10)
        #expect(resolution.endpoints.filter { !$0.isConfirmed }.map(\.host) == ["10.0.0.1", "10.0.0.2"])
        #expect(resolution.coverage.isTruncated)
        #expect(
            outcome.events.last?.text == "t1.local:50051 at 10.0.0.1 (once) t2.local:50051 at 10.0.0.2 (once)")
    }
}
