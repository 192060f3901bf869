import Synchronization
import Testing

@testable import Policy

@Suite("Balancer")
struct BalancerTests {
    private static let second: Int64 = 1_000_000_000

    private func cluster(_ count: Int, _ balance: BalancePolicy = .roundRobin, cursor: Int = 0) -> Cluster {
        var settings = ClusterSettings()
        settings.balance = balance
        let state = ClusterState(id: 1)
        state.roundRobinCursor.store(cursor, ordering: .relaxed)
        return Cluster(
            name: "users", settings: settings,
            endpoints: (0..<count).map { Endpoint(address: EndpointAddress(host: "10.0.0.\($0 + 1)", port: 1)) },
            resolution: .resolved, state: state)
    }

    private func cool(_ cluster: Cluster, _ indices: some Sequence<Int>) {
        for index in indices {
            cluster.endpoints[index].recordUnreachable(now: 0, base: 100 * Self.second, ceiling: 100 * Self.second)
        }
    }

    private func tried(_ cluster: Cluster, _ indices: some Sequence<Int>) -> TriedEndpoints {
        var tried = TriedEndpoints()
        for index in indices { tried.insert(cluster.endpoints[index]) }
        return tried
    }

    /// How often each endpoint is picked.
    private func shares(
        of cluster: Cluster, picks: Int, tried: TriedEndpoints = TriedEndpoints(), seed: UInt64 = 1
    ) -> [Int] {
        var random = SplitMix64(seed: seed)
        var shares = [Int](repeating: 0, count: cluster.endpoints.count)
        for _ in 0..<picks {
            if let pick = Balancer.pick(in: cluster, tried: tried, now: Self.second, random: &random) {
                shares[pick.index] += 1
            }
        }
        return shares
    }

    // MARK: Round robin

    @Test("n picks over k endpoints differ by at most one, wherever the cursor stands", arguments: 1...9)
    func exactSplit(endpoints: Int) {
        for picks in [0, 1, endpoints - 1, endpoints, endpoints + 1, 100, 1_001] {
            for cursor in [0, 1, 7, Int.max / 2] {
                let shares = shares(of: cluster(endpoints, cursor: cursor), picks: picks)
                #expect(shares.reduce(0, +) == picks)
                #expect((shares.max() ?? 0) - (shares.min() ?? 0) <= 1, "\(picks) picks from \(cursor): \(shares)")
            }
        }
    }

    @Test(
        "endpoints that pause get nothing, and the rest equal shares",
        arguments: [[0], [2], [0, 1], [1, 3], [0, 2, 4]])
    func pausing(paused: [Int]) {
        let cluster = cluster(5)
        cool(cluster, paused)
        let shares = shares(of: cluster, picks: 1_000)
        let rest = shares.indices.filter { !paused.contains($0) }.map { shares[$0] }
        #expect(paused.allSatisfy { shares[$0] == 0 })
        #expect((rest.max() ?? 0) - (rest.min() ?? 0) <= 1, "\(shares)")
    }

    @Test("when all pause all count")
    func allPausing() {
        let cluster = cluster(3)
        cool(cluster, 0..<3)
        let shares = shares(of: cluster, picks: 300)
        #expect(shares.reduce(0, +) == 300)
        #expect(shares == [100, 100, 100])
    }

    @Test(
        "after the pause an endpoint gets a probe, not a stream, until it was reached",
        arguments: BalancePolicy.allCases)
    func probes(balance: BalancePolicy) {
        let cluster = cluster(2, balance)
        var random = SplitMix64(seed: 1)
        var picks: [Balancer.Pick] = []
        func pick(_ times: Int, at now: Int64) {
            picks = (0..<times).compactMap { _ in
                Balancer.pick(in: cluster, tried: TriedEndpoints(), now: now, random: &random)
            }
        }
        cluster.endpoints[0].recordUnreachable(now: 0, base: 10, ceiling: 10)
        pick(20, at: 9)
        #expect(picks.allSatisfy { $0 == Balancer.Pick(index: 1, probe: nil) })
        pick(20, at: 10)
        #expect(picks.allSatisfy { $0.index == 1 })
        #expect(picks.contains { $0.probe == 0 })
        // Somebody has taken the probe: nobody else is asked for one while it lasts.
        #expect(cluster.endpoints[0].claimProbe(now: 10, lease: 5))
        pick(20, at: 14)
        #expect(picks.allSatisfy { $0 == Balancer.Pick(index: 1, probe: nil) })
        cluster.endpoints[0].recordReached()
        pick(100, at: 14)
        #expect(Set(picks.map(\.index)) == [0, 1])
    }

    // MARK: Weights and priorities

    private func cluster(_ traits: [EndpointTraits], _ balance: BalancePolicy = .roundRobin) -> Cluster {
        let plain = cluster(traits.count, balance)
        return Cluster(
            name: plain.name, settings: plain.settings, endpoints: plain.endpoints, traits: traits,
            resolution: .resolved, state: plain.state)
    }

    @Test(
        "shares follow the weights exactly over each round, and evenly within it",
        arguments: [[4, 1, 1], [1, 2, 3], [10, 20, 70], [1, 1, 1], [3, 0, 1], [100, 1], [7, 7, 7, 21]])
    func weights(weights: [Int]) {
        let cluster = cluster(weights.map { EndpointTraits(weight: $0) })
        let effective = weights.map { max($0, 1) }
        let round = effective.reduce(0, +)
        #expect(shares(of: cluster, picks: 100 * round) == effective.map { 100 * $0 })
        // Within a round nobody is ever more than one turn off what is due.
        var random = SplitMix64(seed: 1)
        var seen = [Int](repeating: 0, count: weights.count)
        for turn in 1...round {
            guard let pick = Balancer.pick(in: cluster, tried: TriedEndpoints(), now: 1, random: &random) else { break }
            seen[pick.index] += 1
            for (index, weight) in effective.enumerated() {
                let due = Double(turn) * Double(weight) / Double(round)
                #expect(abs(Double(seen[index]) - due) <= 1.5, "\(seen) after \(turn)")
            }
        }
    }

    @Test("weights that would need too long a round are scaled, and the smallest still gets its turn")
    func hugeWeights() {
        let turns = WeightedRotation.turns(weights: [65_535, 65_534, 1])
        #expect(turns.count <= WeightedRotation.maximumTurns + 3)
        #expect(turns.filter { $0 == 2 }.count == 1)
        let halves = (turns.filter { $0 == 0 }.count, turns.filter { $0 == 1 }.count)
        #expect(abs(halves.0 - halves.1) <= 1)
    }

    @Test(
        "with a dead tier the next one is spread as evenly as if it were alone",
        arguments: [(1, 2), (2, 3), (3, 4), (4, 5), (2, 2)], BalancePolicy.allCases)
    func failedOverShares(sizes: (dead: Int, living: Int), balance: BalancePolicy) {
        let cluster = cluster(
            (0..<(sizes.dead + sizes.living)).map { EndpointTraits(priority: $0 < sizes.dead ? 0 : 1) }, balance)
        cool(cluster, 0..<sizes.dead)
        let shares = shares(of: cluster, picks: 1_200 * sizes.living)
        #expect(shares.prefix(sizes.dead).allSatisfy { $0 == 0 })
        let rest = shares.dropFirst(sizes.dead)
        if balance == .roundRobin {
            #expect((rest.max() ?? 0) - (rest.min() ?? 0) <= 1, "\(shares)")
        } else {
            #expect(rest.allSatisfy { (1_000...1_400).contains($0) }, "\(shares)")
        }
    }

    @Test("a heavy endpoint that is dead leaves fair shares to the others", arguments: BalancePolicy.allCases)
    func deadHeavy(balance: BalancePolicy) {
        let cluster = cluster([65_535, 1, 1, 2].map { EndpointTraits(weight: $0) }, balance)
        cool(cluster, [0])
        let shares = shares(of: cluster, picks: 4_000)
        #expect(shares[0] == 0)
        #expect((850...1_150).contains(shares[1]) && (850...1_150).contains(shares[2]), "\(shares)")
        #expect((1_850...2_150).contains(shares[3]), "\(shares)")
    }

    @Test("least_request: dead neighbours give nobody more than a fair share")
    func deadNeighbours() {
        let cluster = cluster(6, .leastRequest)
        cool(cluster, 0..<3)
        let shares = shares(of: cluster, picks: 6_000)
        #expect(shares.dropFirst(3).allSatisfy { (1_850...2_150).contains($0) }, "\(shares)")
    }

    @Test("least_request: endpoints without streams get shares by weight")
    func idleWeights() {
        let shares = shares(
            of: cluster([EndpointTraits(weight: 3), EndpointTraits(weight: 1)], .leastRequest), picks: 6_000)
        #expect((4_300...4_900).contains(shares[0]), "\(shares)")
    }

    @Test("least_request: busy counts relative to the weight")
    func weightedLeastRequest() {
        let cluster = cluster([EndpointTraits(weight: 3), EndpointTraits(weight: 1)], .leastRequest)
        cluster.endpoints[0].activeStreams.store(4, ordering: .relaxed)
        cluster.endpoints[1].activeStreams.store(3, ordering: .relaxed)
        let shares = shares(of: cluster, picks: 400)
        #expect(shares[0] > 3 * shares[1], "\(shares)")
    }

    @Test(
        "a lower priority gets streams only while no endpoint of the higher can be reached",
        arguments: BalancePolicy.allCases)
    func priorities(balance: BalancePolicy) {
        let cluster = cluster([1, 0, 1, 0].map { EndpointTraits(priority: $0) }, balance)
        // The preferred ones come first.
        #expect(cluster.traits.map(\.priority) == [0, 0, 1, 1])
        #expect(cluster.endpoints.map(\.address.host) == ["10.0.0.2", "10.0.0.4", "10.0.0.1", "10.0.0.3"])
        let well = shares(of: cluster, picks: 100)
        #expect(well[0] > 25 && well[1] > 25 && well[2] == 0 && well[3] == 0, "\(well)")
        cool(cluster, [0])
        #expect(shares(of: cluster, picks: 100) == [0, 100, 0, 0])
        cool(cluster, [1])
        let failedOver = shares(of: cluster, picks: 100)
        #expect(failedOver[0] == 0 && failedOver[1] == 0 && failedOver[2] > 25, "\(failedOver)")
        #expect(shares(of: cluster, picks: 10, tried: tried(cluster, [2, 3])).prefix(2).reduce(0, +) == 10)
        cluster.endpoints[0].recordReached()
        #expect(shares(of: cluster, picks: 100) == [100, 0, 0, 0])
    }

    @Test(
        "endpoints that were tried are passed over; with none left there is no pick", arguments: BalancePolicy.allCases)
    func triedEndpoints(balance: BalancePolicy) {
        let cluster = cluster(4, balance)
        #expect(shares(of: cluster, picks: 50, tried: tried(cluster, [0, 1, 3])) == [0, 0, 50, 0])
        #expect(shares(of: cluster, picks: 50, tried: tried(cluster, 0..<4)) == [0, 0, 0, 0])
        cool(cluster, [2])
        // A pausing endpoint is better than none.
        #expect(shares(of: cluster, picks: 50, tried: tried(cluster, [0, 1, 3])) == [0, 0, 50, 0])
    }

    @Test("a single endpoint is picked until it was tried; of none there is no pick", arguments: BalancePolicy.allCases)
    func small(balance: BalancePolicy) {
        let one = cluster(1, balance)
        cool(one, [0])
        #expect(shares(of: one, picks: 5) == [5])
        #expect(shares(of: one, picks: 5, tried: tried(one, [0])) == [0])
        #expect(shares(of: cluster(0, balance), picks: 5) == [])
    }

    @Test("workers that draw at the same time share one cursor: together they differ by at most one")
    func concurrentRoundRobin() async {
        let cluster = cluster(7)
        let total = await withTaskGroup(of: [Int].self, returning: [Int].self) { group in
            for worker in UInt64(0)..<4 {
                group.addTask { shares(of: cluster, picks: 25_001, seed: worker) }
            }
            return await group.reduce(into: [Int](repeating: 0, count: 7)) { sum, shares in
                for (index, share) in shares.enumerated() { sum[index] += share }
            }
        }
        #expect(total.reduce(0, +) == 100_004)
        #expect((total.max() ?? 0) - (total.min() ?? 0) <= 1, "\(total)")
    }

    @Test("the cursor outlives a change of membership")
    func membershipChange() {
        let before = cluster(3)
        _ = shares(of: before, picks: 2)
        let after = Cluster(
            name: before.name, settings: before.settings, endpoints: before.endpoints, resolution: .resolved,
            state: before.state)
        #expect(shares(of: after, picks: 1) == [0, 0, 1])
    }

    // MARK: Least request

    @Test("of two endpoints the less busy is picked")
    func lessBusy() {
        let cluster = cluster(2, .leastRequest)
        cluster.endpoints[0].activeStreams.store(3, ordering: .relaxed)
        cluster.endpoints[1].activeStreams.store(2, ordering: .relaxed)
        #expect(shares(of: cluster, picks: 200) == [0, 200])
    }

    @Test("the busiest of many is never picked, the least busy most often", arguments: 1...5)
    func manyBusy(seed: UInt64) {
        let cluster = cluster(6, .leastRequest)
        for (index, endpoint) in cluster.endpoints.enumerated() {
            endpoint.activeStreams.store(index, ordering: .relaxed)
        }
        let shares = shares(of: cluster, picks: 6_000, seed: seed)
        #expect(shares[5] == 0)
        #expect(shares == shares.sorted(by: >))
        // Both draws hit it with probability 1/3.
        #expect((1_800...2_200).contains(shares[0]), "\(shares)")
    }

    @Test("equally busy endpoints get about the same", arguments: 1...5)
    func equallyBusy(seed: UInt64) {
        let shares = shares(of: cluster(4, .leastRequest), picks: 8_000, seed: seed)
        #expect(shares.allSatisfy { (1_800...2_200).contains($0) }, "\(shares)")
    }

    @Test("pausing endpoints get nothing unless all pause")
    func leastRequestPausing() {
        let cluster = cluster(3, .leastRequest)
        cool(cluster, [0])
        let some = shares(of: cluster, picks: 900)
        #expect(some[0] == 0)
        #expect(some[1] > 250 && some[2] > 250, "\(some)")
        cool(cluster, [1, 2])
        let all = shares(of: cluster, picks: 900)
        #expect(all.allSatisfy { $0 > 200 }, "\(all)")
    }
}
