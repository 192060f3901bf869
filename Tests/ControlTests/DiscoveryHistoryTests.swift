import DNS
import Policy
import Testing

@testable import Control

@Suite("How the looks at a name have gone")
struct DiscoveryHistoryTests {
    /// A name whose records the test sets.
    private struct FixedResolution: NameResolution {
        var endpoints: [DiscoveredEndpoint] = []
        var coverage: Coverage { .none }
        var ttl: Duration? { .seconds(5) }

        func look(_ name: DNSName, by questioner: Questioner) async -> AddressLookup { AddressLookup() }
        mutating func record(_ answers: AddressLookup, now: Duration) -> LookOutcome { LookOutcome(verdict: .good) }
        mutating func removeAll() { endpoints.removeAll() }
        mutating func use(rules: AnswerRules, longestTTL: Duration) {}
    }

    private var history = LookHistory()
    private var resolution = FixedResolution(endpoints: [
        DiscoveredEndpoint(host: "10.0.0.1"), DiscoveredEndpoint(host: "10.0.0.2", port: 9),
    ])

    private mutating func record(_ outcome: LookOutcome, at second: Int, emptyAfter: Int? = nil) -> SourceReport {
        history.record(
            outcome, of: "users.local", resolution: &resolution, emptyAfter: emptyAfter.map { .seconds($0) },
            attempts: [], now: .seconds(second))
        return history.report
    }

    private let good = LookOutcome(verdict: .good)
    private let none = LookOutcome(verdict: .none(LookFailure("NXDOMAIN for users.local")))
    private let failed = LookOutcome(verdict: .failed(LookFailure("SERVFAIL for users.local")))

    @Test("good and failed looks are counted, and the last failure is remembered")
    mutating func counts() {
        var report = record(good, at: 1)
        #expect(report.answers == 1)
        #expect(report.lastSuccess == .seconds(1))
        #expect(report.events.isEmpty)
        report = record(failed, at: 2)
        report = record(failed, at: 3)
        #expect(report.failures == 2)
        #expect(report.failure == "SERVFAIL for users.local")
        #expect(
            report.events == [DiscoveryEvent(.failed, "SERVFAIL for users.local, keeping 2 endpoints")])
        #expect(report.lastSuccess == .seconds(1))
        report = record(good, at: 4)
        #expect(report.failure == nil)
        #expect(report.lastFailure == "SERVFAIL for users.local")
        #expect(
            report.events == [DiscoveryEvent(.recovered, "users.local: answers again after 2 looks that failed")])
        #expect(report.endpoints.count == 2)
    }

    @Test("a look of which a part failed is good, and says what failed")
    mutating func partial() {
        var half = good
        half.partialFailure = "AAAA: no DNS answer in time for users.local, keeping 2 addresses"
        var report = record(half, at: 1)
        #expect(report.answers == 1)
        #expect(report.failures == 0)
        #expect(report.failure == half.partialFailure)
        #expect(report.events == [DiscoveryEvent(.failed, half.partialFailure ?? "")])
        report = record(good, at: 2)
        #expect(report.events == [DiscoveryEvent(.recovered, "users.local: whole again")])
    }

    @Test("\"there is none\" empties nothing without empty_after, however often it is heard")
    mutating func neverEmpty() {
        for second in 1...5_000 { #expect(record(none, at: second).endpoints.count == 2) }
        #expect(history.report.lastSuccess == nil)
        #expect(history.report.failures == 5_000)
    }

    @Test("heard for long enough by two looks at least, \"there is none\" is believed")
    mutating func confirmed() {
        _ = record(good, at: 0)
        #expect(record(none, at: 10, emptyAfter: 30).endpoints.count == 2)
        #expect(record(none, at: 39, emptyAfter: 30).endpoints.count == 2)
        var report = record(none, at: 40, emptyAfter: 30)
        #expect(report.endpoints.isEmpty)
        #expect(report.failure == "NXDOMAIN for users.local")
        #expect(report.lastSuccess == .seconds(40))
        #expect((report.answers, report.failures) == (2, 2))
        #expect(
            report.events == [
                DiscoveryEvent(.expired, "10.0.0.1 10.0.0.2:9: confirmed: the name has had no records for 30s")
            ])
        report = record(none, at: 50, emptyAfter: 30)
        #expect((report.answers, report.failures) == (3, 2))
        #expect(report.events.isEmpty)
        #expect(history.failuresInRow == 4)
    }

    @Test("one look is not enough, not even long after the last good one")
    mutating func twoLooks() {
        _ = record(good, at: 0)
        #expect(record(none, at: 1_000, emptyAfter: 0).endpoints.count == 2)
        #expect(record(none, at: 1_001, emptyAfter: 0).endpoints.isEmpty)
    }

    @Test("a look in between that heard anything else, or nothing, begins the time anew")
    mutating func between() {
        _ = record(none, at: 0, emptyAfter: 30)
        _ = record(good, at: 20, emptyAfter: 30)
        #expect(record(none, at: 31, emptyAfter: 30).endpoints.count == 2)
        _ = record(failed, at: 40, emptyAfter: 30)
        #expect(record(failed, at: 100, emptyAfter: 30).endpoints.count == 2)
        #expect(record(none, at: 101, emptyAfter: 30).endpoints.count == 2)
        #expect(record(none, at: 130, emptyAfter: 30).endpoints.count == 2)
        #expect(record(none, at: 131, emptyAfter: 30).endpoints.isEmpty)
    }
}
