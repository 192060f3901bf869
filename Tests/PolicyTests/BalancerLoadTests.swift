import Synchronization
import Testing

@testable import Policy

@Suite("Balancer: load, latency and warmth")
struct BalancerLoadTests {
    private static let second: Int64 = 1_000_000_000
    private static let millisecond: Int64 = 1_000_000

    // MARK: Latency

    @Test("a slow answer counts at once, quick ones by and by, however many there are", arguments: [1, 10, 100])
    func peak(perSecond: Int) {
        let record = LatencyRecord()
        #expect(record.mean == nil)
        record.note(1_000_000, now: 0)
        record.note(100_000_000, now: 1)
        #expect(record.mean == 100_000_000)
        for number in 1...10 * perSecond { record.note(0, now: Int64(number) * Self.second / Int64(perSecond)) }
        // One time constant later: 1/e.
        #expect(abs((record.mean ?? 0) - 36_787_944) < 400_000, "\(record.mean ?? 0)")
    }

    @Test("a mean fades while nothing is heard, and a clock reading from before changes nothing")
    func fading() {
        let record = LatencyRecord()
        record.note(100_000_000, now: 100 * Self.second)
        func forgiven(_ now: Int64) -> Double { record.reading(now: now)?.forgiven ?? -1 }
        #expect(forgiven(99 * Self.second) == 100_000_000)
        #expect(abs(forgiven(110 * Self.second) - 36_787_944) < 100_000)
        #expect(forgiven(220 * Self.second) < 1_000)
        record.note(5, now: 99 * Self.second)
        #expect(record.mean == 100_000_000)
    }

    @Test("of many workers that note at the same time the slowest answer is kept")
    func crossing() async {
        let endpoint = Endpoint(address: EndpointAddress(host: "10.0.0.1", port: 1))
        await withTaskGroup(of: Void.self) { group in
            for worker in 0..<4 {
                group.addTask {
                    for number in 1...2_000 { endpoint.latency.note(Int64(number * 4 + worker), now: 5) }
                }
            }
        }
        #expect(endpoint.latency.mean == 8_003)
    }

    private func ewma(_ latencies: [Int64?], at now: Int64 = second) -> BalancingFixture {
        let fixture = BalancingFixture(latencies.count) { $0.balance = .peakEWMA }
        for (index, latency) in latencies.enumerated() {
            if let latency { fixture.cluster.endpoints[index].latency.note(latency, now: now) }
        }
        return fixture
    }

    @Test("peak_ewma: of two the one with less latency times load is picked")
    func latencyTimesLoad() {
        let fixture = ewma([10 * Self.millisecond, 1 * Self.millisecond])
        #expect(fixture.shares(100) == [0, 100])
        fixture.active(8, 1)
        #expect(fixture.shares(100) == [0, 100])
        fixture.active(10, 1)
        #expect(fixture.shares(100) == [100, 0])
    }

    @Test("peak_ewma: load counts relative to the weight")
    func latencyByWeight() {
        let fixture = BalancingFixture([EndpointTraits(weight: 3), EndpointTraits()]) { $0.balance = .peakEWMA }
        for endpoint in fixture.cluster.endpoints { endpoint.latency.note(Self.millisecond, now: Self.second) }
        fixture.active(4, 0)
        fixture.active(1, 1)
        // 5/3 against 2/1 wherever the draws differ.
        #expect(fixture.shares(1_000)[0] > 900)
    }

    @Test("peak_ewma: an endpoint without a sample is judged by its load alone")
    func noSample() {
        let fixture = ewma([nil, Self.millisecond])
        #expect(isLikely(fixture.shares(1_000), [500, 500]))
        fixture.active(1, 0)
        #expect(fixture.shares(100) == [0, 100])
    }

    @Test("peak_ewma: one that was slow is tried again after a while, and by then gets no more than its share")
    func forgiveness() {
        let fixture = ewma([2_000 * Self.millisecond, 10 * Self.millisecond])
        #expect(fixture.shares(100, now: 10 * Self.second)[0] == 0)
        fixture.cluster.endpoints[1].latency.note(10 * Self.millisecond, now: 80 * Self.second)
        #expect(isLikely(fixture.shares(1_000, now: 80 * Self.second), [500, 500]))
        fixture.active(1, 0)
        #expect(fixture.shares(100, now: 80 * Self.second) == [0, 100])
    }

    // MARK: Random

    @Test("random: shares follow the weights", arguments: [[1, 1, 1], [1, 2, 7]])
    func random(weights: [Int]) {
        let fixture = BalancingFixture(weights.map { EndpointTraits(weight: $0) }) { $0.balance = .random }
        let total = Double(weights.reduce(0, +))
        #expect(isLikely(fixture.shares(20_000), weights.map { 20_000 * Double($0) / total }))
    }

    // MARK: Slow start

    private static let drawn: [BalancePolicy] = [.roundRobin, .leastRequest, .peakEWMA, .random]

    /// Two endpoints that have had their time and a new one.
    private func warming(_ policy: BalancePolicy) -> BalancingFixture {
        let fixture = BalancingFixture(3) {
            $0.balance = policy
            $0.slowStart = .seconds(100)
        }
        for index in 0..<2 { fixture.cluster.endpoints[index].startedAt.store(1, ordering: .relaxed) }
        fixture.cluster.endpoints[2].startedAt.store(1_000 * Self.second, ordering: .relaxed)
        return fixture
    }

    @Test("a new endpoint's chance grows from a tenth to its full one", arguments: [(0, 0.1), (50, 0.55), (100, 1.0)])
    func slowStart(age: Int64, chance: Double) {
        for policy in Self.drawn {
            let fixture = warming(policy)
            let share = Double(fixture.shares(20_000, now: (1_000 + age) * Self.second)[2]) / 20_000
            switch policy {
            // Its turns that are given away, others' draws make up for: c of 2 + c.
            case .roundRobin, .random: #expect(abs(share - chance / (2 + chance)) < 0.015, "\(policy): \(share)")
            // In two of three pairs, which it wins every other time where it fits: c of 3.
            default: #expect(abs(share - chance / 3) < 0.015, "\(policy): \(share)")
            }
        }
    }

    @Test("where all are new nobody is held back, and none that is alone", arguments: drawn)
    func allNew(policy: BalancePolicy) {
        let fixture = BalancingFixture(4) {
            $0.balance = policy
            $0.slowStart = .seconds(100)
        }
        #expect(isLikely(fixture.shares(4_000), [1_000, 1_000, 1_000, 1_000]))
        #expect(fixture.cluster.endpoints.allSatisfy { $0.startedAt.load(ordering: .relaxed) == Self.second })
        let alone = warming(policy)
        alone.set(.unhealthy, 0, 1)
        #expect(alone.shares(100, now: 1_000 * Self.second) == [0, 0, 100])
    }

    @Test("the time begins with the first pick that comes upon the endpoint usable")
    func firstSight() {
        let fixture = BalancingFixture(2) { $0.slowStart = .seconds(100) }
        fixture.set(.pending, 1)
        _ = fixture.picks(10, now: 5)
        let second = fixture.cluster.endpoints[1]
        #expect(second.startedAt.load(ordering: .relaxed) == 0)
        second.health.set(.healthy)
        _ = fixture.picks(10, now: 7)
        #expect(second.startedAt.load(ordering: .relaxed) == 7)
    }
}
