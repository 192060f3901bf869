import Synchronization
import Testing

@testable import Policy

@Suite("Balancer: who may be picked")
struct BalancerFitnessTests {
    private static let second: Int64 = 1_000_000_000

    @Test(
        "endpoints that are ejected or fail their checks get nothing, and the others equal shares",
        arguments: BalancePolicy.allCases)
    func passedOver(policy: BalancePolicy) {
        let fixture = BalancingFixture(5) { $0.balance = policy }
        fixture.eject(0)
        fixture.set(.unhealthy, 2)
        fixture.set(.pending, 3)
        fixture.set(.healthy, 4)
        let shares = fixture.shares(1_000)
        #expect(isLikely(shares, [0, 500, 0, 0, 500]), "\(shares)")
        if policy == .roundRobin { #expect(shares == [0, 500, 0, 0, 500]) }
    }

    @Test(
        "when nobody is usable those that can be reached count, then the others", arguments: BalancePolicy.allCases)
    func nobodyUsable(policy: BalancePolicy) {
        let fixture = BalancingFixture(3) { $0.balance = policy }
        fixture.eject(0)
        fixture.set(.unhealthy, 1)
        fixture.unreachable(2)
        #expect(isLikely(fixture.shares(400), [200, 200, 0]))
        #expect(fixture.shares(10, tried: fixture.tried(0, 1)) == [0, 0, 10])
        fixture.unreachable(0, 1)
        #expect(isLikely(fixture.shares(300), [100, 100, 100]))
    }

    @Test("when nobody is usable turns are still exact", arguments: 1...4)
    func exactTurns(count: Int) {
        let fixture = BalancingFixture(count)
        for index in 0..<count { fixture.set(.unhealthy, index) }
        #expect(fixture.shares(100 * count) == Array(repeating: 100, count: count))
        for index in 0..<count { fixture.unreachable(index) }
        #expect(fixture.shares(100 * count) == Array(repeating: 100, count: count))
    }

    @Test("a usable endpoint of a lower tier comes before a doubtful one of a higher")
    func tierBeforePanic() {
        let fixture = BalancingFixture([EndpointTraits(), EndpointTraits(), EndpointTraits(priority: 1)])
        fixture.eject(0)
        fixture.set(.unhealthy, 1)
        #expect(fixture.shares(10) == [0, 0, 10])
    }

    @Test(
        "an ejected endpoint whose time is over gets one stream, marked as its trial, until that has an outcome",
        arguments: BalancePolicy.allCases, [2, 1])
    func trial(policy: BalancePolicy, count: Int) {
        let fixture = BalancingFixture(count) { $0.balance = policy }
        fixture.eject(0)
        let early = fixture.picks(40, now: 29 * Self.second)
        #expect(early.allSatisfy { !$0.isTrial })
        if count > 1 { #expect(early.allSatisfy { $0.index == 1 }) }
        let due = fixture.picks(40, now: 31 * Self.second)
        #expect(due.filter(\.isTrial) == [Balancer.Pick(index: 0, isTrial: true)])
        if count > 1 { #expect(due.count { $0.index == 0 } == 1) }
        fixture.cluster.endpoints[0].outlier.releaseTrial()
        #expect(fixture.picks(40, now: 31 * Self.second).count(where: \.isTrial) == 1)
    }

    @Test("no trial goes to an endpoint that was tried, fails its checks, cannot be reached or is full")
    func noTrial() {
        for policy in BalancePolicy.allCases {
            let fixture = BalancingFixture(5) {
                $0.balance = policy
                $0.breakers.maxRequestsPerEndpoint = 5
            }
            fixture.eject(0, 1, 2, 3)
            fixture.set(.unhealthy, 1)
            fixture.unreachable(2)
            fixture.active(5, 3)
            let picks = fixture.picks(40, tried: fixture.tried(0), now: 31 * Self.second)
            #expect(picks.count == 40 && picks.allSatisfy { $0.index == 4 && !$0.isTrial })
        }
    }

    // MARK: Panic

    @Test(
        "below the panic threshold ejections and checks are not believed in that tier, those unreachable still are",
        arguments: [
            (threshold: 0.5, out: 2, isPanic: false), (threshold: 0.5, out: 3, isPanic: true),
            (threshold: 0.5, out: 4, isPanic: true), (threshold: 0.0, out: 4, isPanic: false),
            (threshold: 1.0, out: 1, isPanic: true),
        ])
    func panic(threshold: Double, out: Int, isPanic: Bool) {
        for policy in BalancePolicy.allCases {
            let traits = Array(repeating: EndpointTraits(), count: 5) + [EndpointTraits(priority: 1)]
            let fixture = BalancingFixture(traits) {
                $0.balance = policy
                $0.panicThreshold = threshold
            }
            // The first of those out cannot be reached.
            fixture.unreachable(0)
            for index in 1..<max(out, 1) { fixture.set(.unhealthy, index) }
            #expect(fixture.cluster.isInPanic == isPanic)
            let shares = fixture.shares(5_000)
            let takers = (0..<5).map { $0 != 0 && ($0 >= out || isPanic) }
            let share = 5_000 / Double(takers.count { $0 })
            #expect(isLikely(shares, takers.map { $0 ? share : 0 } + [0]), "\(policy): \(shares)")
        }
    }

    @Test("a panic keeps round robin exact")
    func exactPanic() {
        let fixture = BalancingFixture(4) { $0.panicThreshold = 0.6 }
        fixture.set(.unhealthy, 0, 1)
        #expect(fixture.shares(400) == [100, 100, 100, 100])
    }

    // MARK: Limits

    @Test("an endpoint at its limit of streams is passed over, in doubt too", arguments: BalancePolicy.allCases)
    func full(policy: BalancePolicy) {
        let fixture = BalancingFixture(3) {
            $0.balance = policy
            $0.breakers.maxRequestsPerEndpoint = 10
        }
        fixture.active(10, 0)
        fixture.active(9, 1)
        fixture.active(9, 2)
        #expect(isLikely(fixture.shares(300), [0, 150, 150]))
        fixture.set(.unhealthy, 1, 2)
        #expect(fixture.shares(300)[0] == 0)
        fixture.unreachable(1, 2)
        #expect(fixture.shares(300)[0] == 0)
    }

    @Test("without a pick it is said why")
    func whyNone() {
        let fixture = BalancingFixture(
            (0..<3).map { EndpointTraits(attributes: ["version": $0 == 0 ? "1" : "2"]) }
        ) { $0.breakers.maxRequestsPerEndpoint = 10 }
        for index in 0..<3 { fixture.active(10, index) }
        func why(_ tried: TriedEndpoints, _ subset: [String: String] = [:]) -> Failure {
            #expect(fixture.picks(5, tried: tried, subset: subset).isEmpty)
            return Balancer.whyNone(in: fixture.cluster, tried: tried, subset: subset)
        }
        let none = TriedEndpoints()
        #expect(
            why(none)
                == Failure.circuitOpen(
                    .requestsPerEndpoint, "all 3 endpoints of cluster users are at their limit of 10 streams"))
        #expect(
            why(none, ["version": "1"])
                == Failure.circuitOpen(
                    .requestsPerEndpoint,
                    "the only endpoint of cluster users with version=1 is at its limit of 10 streams"))
        #expect(
            why(fixture.tried(0, 1, 2))
                == Failure(.noEndpoint, "all 3 endpoints of cluster users have been tried"))
        #expect(
            why(fixture.tried(1))
                == Failure.circuitOpen(
                    .requestsPerEndpoint,
                    "all 3 endpoints of cluster users are tried (1) or at their limit of 10 streams (2)"))
        #expect(
            why(none, ["version": "2", "leader": "true"])
                == Failure(
                    .noEndpoint,
                    "no endpoint of cluster users has leader=true, version=2 "
                        + "(3 endpoints; leader=true: 0, version=2: 2)"))
    }

    @Test("one endpoint is passed over at its limit too")
    func fullAlone() {
        let fixture = BalancingFixture(1) { $0.breakers.maxRequestsPerEndpoint = 1 }
        #expect(fixture.picks(1).count == 1)
        fixture.active(1, 0)
        #expect(fixture.picks(1).isEmpty)
    }
}
