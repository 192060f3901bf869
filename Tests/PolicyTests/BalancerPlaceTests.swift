import Synchronization
import Testing

@testable import Policy

@Suite("Balancer: zones and subsets")
struct BalancerPlaceTests {
    private static let second: Int64 = 1_000_000_000

    // MARK: Zones

    /// Four endpoints here and four there.
    private func zones(_ policy: BalancePolicy, spillBelow: Double = 0.7) -> BalancingFixture {
        BalancingFixture((0..<8).map { EndpointTraits(attributes: ["zone": $0 < 4 ? "a" : "b"]) }) {
            $0.balance = policy
            var zone = ZonePreference(own: "a")
            zone.spillBelow = spillBelow
            $0.zone = zone
        }
    }

    @Test(
        "streams stay in our zone while enough of it is usable; below that they leave in proportion",
        arguments: [(0, 1.0), (1, 1.0), (2, 0.5 / 0.7), (3, 0.25 / 0.7), (4, 0.0)], BalancePolicy.allCases)
    func spill(state: (out: Int, stays: Double), policy: BalancePolicy) {
        let fixture = zones(policy)
        for index in 0..<state.out { fixture.set(.unhealthy, index) }
        let shares = fixture.shares(10_000, key: { StableHash.hash("user-\($0)".utf8) })
        let here = Double(shares.prefix(4).reduce(0, +)) / 10_000
        // The points of a ring are less even.
        #expect(abs(here - state.stays) < (policy == .ringHash ? 0.1 : 0.03), "\(shares)")
        #expect(shares.prefix(state.out).allSatisfy { $0 == 0 })
        if state.out == 4 || state.out < 2 {
            #expect(shares[4..<8].reduce(0, +) == (state.out == 4 ? 10_000 : 0))
        }
    }

    @Test("round robin stays exact at home, and away")
    func exact() {
        let fixture = zones(.roundRobin)
        #expect(fixture.shares(400) == [100, 100, 100, 100, 0, 0, 0, 0])
        for index in 0..<4 { fixture.set(.unhealthy, index) }
        #expect(fixture.shares(400) == [0, 0, 0, 0, 100, 100, 100, 100])
    }

    @Test(
        "a key that stays does not move when another endpoint of its zone fails",
        arguments: [BalancePolicy.ringHash, .maglev])
    func keysStay(policy: BalancePolicy) {
        let fixture = zones(policy, spillBelow: 1)
        func owners() -> [Int] { fixture.picks(2_000, key: { UInt64($0) }).map(\.index) }
        let before = owners()
        fixture.set(.unhealthy, 0)
        let after = owners()
        #expect(zip(before, after).allSatisfy { $0 == $1 || $0 == 0 })
        #expect(owners() == after)
        #expect(after.contains { $0 >= 4 })
    }

    @Test("who is not in our zone is reached where nobody else can be, and a zone of nobody prefers nobody")
    func lastResort() {
        let fixture = zones(.roundRobin)
        for index in 0..<8 { fixture.unreachable(index) }
        #expect(fixture.picks(8).count == 8)
        let elsewhere = BalancingFixture((0..<2).map { _ in EndpointTraits(attributes: ["zone": "b"]) }) {
            $0.zone = ZonePreference(own: "a")
        }
        #expect(elsewhere.shares(10) == [5, 5])
    }

    @Test("the preferred tier comes before the preferred zone")
    func tiers() {
        let fixture = BalancingFixture([
            EndpointTraits(priority: 1, attributes: ["zone": "a"]), EndpointTraits(attributes: ["zone": "b"]),
        ]) { $0.zone = ZonePreference(own: "a") }
        #expect(fixture.cluster.endpoints[0].name == "10.0.0.2:50051")
        #expect(fixture.shares(10) == [10, 0])
    }

    // MARK: Subsets

    private static let canary = ["version": "2"]

    private func versions(
        _ count: Int, known: Bool = true, policy: BalancePolicy = .roundRobin, state: ClusterState = ClusterState(id: 1)
    ) -> BalancingFixture {
        BalancingFixture(
            (0..<count).map { EndpointTraits(attributes: ["version": $0 % 3 == 0 ? "2" : "1", "zone": "a"]) },
            subsets: known ? [["zone": "b"], Self.canary] : [], state: state
        ) { $0.balance = policy }
    }

    @Test(
        "only endpoints with all the attributes are picked, whether routes were known to name them or not",
        arguments: BalancePolicy.allCases, [true, false])
    func subset(policy: BalancePolicy, known: Bool) {
        let fixture = versions(9, known: known, policy: policy)
        let shares = fixture.shares(900, subset: Self.canary)
        #expect(isLikely(shares, [300, 0, 0, 300, 0, 0, 300, 0, 0]), "\(shares)")
        if policy == .roundRobin { #expect(shares == [300, 0, 0, 300, 0, 0, 300, 0, 0]) }
        let keyed = fixture.shares(900, subset: ["version": "2", "zone": "a"], key: { UInt64($0) })
        #expect(keyed.enumerated().allSatisfy { $0.element == 0 || $0.offset % 3 == 0 })
        #expect(fixture.picks(5, subset: ["zone": "b"]).isEmpty)
        #expect(fixture.picks(5, subset: ["version": "2", "zone": "b"]).isEmpty)
    }

    @Test("round robin over a subset is exact whatever other streams of the cluster do")
    func ownCursor() {
        let fixture = versions(9)
        var shares = [Int](repeating: 0, count: 9)
        for number in 0..<300 {
            _ = fixture.picks(number % 4)
            shares[fixture.picks(1, subset: Self.canary)[0].index] += 1
        }
        #expect(shares == [100, 0, 0, 100, 0, 0, 100, 0, 0])
    }

    @Test("a subset's turn outlives a change of membership")
    func cursorSurvives() {
        let before = versions(6)
        #expect(before.shares(1, subset: Self.canary) == [1, 0, 0, 0, 0, 0])
        let after = versions(6, state: before.cluster.state)
        #expect(after.shares(1, subset: Self.canary) == [0, 0, 0, 1, 0, 0])
    }

    @Test("who of a subset is not usable is passed over, and comes back where nobody else is left")
    func unusable() {
        for known in [true, false] {
            let fixture = versions(6, known: known)
            fixture.set(.unhealthy, 0)
            #expect(fixture.shares(10, subset: Self.canary) == [0, 0, 0, 10, 0, 0])
            fixture.unreachable(3)
            #expect(fixture.shares(10, subset: Self.canary) == [10, 0, 0, 0, 0, 0])
            fixture.unreachable(0)
            #expect(fixture.picks(10, subset: Self.canary).allSatisfy { [0, 3].contains($0.index) })
        }
    }
}
