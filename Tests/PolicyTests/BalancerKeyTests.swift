import Testing

@testable import Policy

@Suite("Balancer: keys")
struct BalancerKeyTests {
    private static let keys = 6_000
    private static let policies: [BalancePolicy] = [.ringHash, .maglev]

    private func key(_ number: Int) -> UInt64 { StableHash.hash("user-\(number)".utf8) }

    private func owners(_ fixture: BalancingFixture, keys: Int = keys, seed: UInt64 = 1) -> [String] {
        fixture.picks(keys, seed: seed, key: key).map { fixture.cluster.endpoints[$0.index].name }
    }

    @Test("a key goes to the same endpoint in every process", arguments: policies)
    func stable(policy: BalancePolicy) {
        let first = BalancingFixture(10) { $0.balance = policy }
        let second = BalancingFixture(10) { $0.balance = policy }
        #expect(owners(first, seed: 1) == owners(second, seed: 2))
    }

    @Test("the hash of a key is what it has always been")
    func hash() {
        #expect(StableHash.hash("".utf8) == 0xEFD0_1F60_BA99_2926)
        let bytes: [UInt8] = [0x61]
        #expect(bytes.withUnsafeBufferPointer { Balancer.hashKey($0) } == StableHash.hash("a".utf8))
        #expect(StableHash.hash("a".utf8) != StableHash.hash("b".utf8))
    }

    @Test("keys are split evenly, by weight", arguments: policies, [[1, 1, 1, 1], [1, 2, 3], [5, 1]])
    func split(policy: BalancePolicy, weights: [Int]) {
        let fixture = BalancingFixture(weights.map { EndpointTraits(weight: $0) }) { $0.balance = policy }
        let shares = fixture.shares(Self.keys, key: key)
        let total = Double(weights.reduce(0, +))
        // Three standard deviations of a share that 128 points make; a table differs by little more than its keys do.
        let tolerance = policy == .ringHash ? 0.27 : 0.1
        for (share, weight) in zip(shares, weights) {
            let due = Double(Self.keys) * Double(weight) / total
            #expect(abs(Double(share) - due) <= tolerance * due, "\(shares)")
        }
    }

    @Test("where one of N leaves, its keys move and few others", arguments: policies, [2, 5, 20])
    func leaving(policy: BalancePolicy, count: Int) {
        let endpoints = BalancingFixture.endpoints(count)
        let traits = Array(repeating: EndpointTraits(), count: count)
        let before = owners(BalancingFixture(traits, endpoints: endpoints) { $0.balance = policy })
        let gone = endpoints[count / 2].name
        let rest = endpoints.filter { $0.name != gone }
        let after = owners(BalancingFixture(Array(traits.dropLast()), endpoints: rest) { $0.balance = policy })
        let moved = zip(before, after).count { $0 != $1 }
        let others = zip(before, after).count { $0 != $1 && $0 != gone }
        // One in N, give or take the unevenness of a ring.
        #expect(Double(moved) <= Double(Self.keys) * (1.3 / Double(count) + 0.06), "\(moved)")
        switch policy {
        case .ringHash: #expect(others == 0)
        default: #expect(Double(others) <= 0.06 * Double(Self.keys), "\(others)")
        }
    }

    @Test("while an endpoint is out its keys are spread over the others, and no other key moves", arguments: policies)
    func out(policy: BalancePolicy) {
        let fixture = BalancingFixture(10) { $0.balance = policy }
        let before = owners(fixture)
        fixture.eject(3)
        let after = owners(fixture)
        let gone = fixture.cluster.endpoints[3].name
        #expect(zip(before, after).allSatisfy { $0 == $1 || $0 == gone })
        let heirs = Set(zip(before, after).filter { $0.0 == gone }.map(\.1))
        #expect(heirs.count == 9)
        #expect(owners(fixture, seed: 9) == after)
    }

    @Test("where nearly all are out every key still has one endpoint", arguments: policies)
    func nearlyAllOut(policy: BalancePolicy) {
        let fixture = BalancingFixture(200) { $0.balance = policy }
        for index in 0..<198 { fixture.set(.unhealthy, index) }
        let after = owners(fixture, keys: 300)
        #expect(after == owners(fixture, keys: 300, seed: 2))
        #expect(Set(after) == Set([198, 199].map { fixture.cluster.endpoints[$0].name }))
    }

    @Test("a request without a key goes anywhere", arguments: policies)
    func noKey(policy: BalancePolicy) {
        let shares = BalancingFixture(4) { $0.balance = policy }.shares(4_000)
        #expect(isLikely(shares, [1_000, 1_000, 1_000, 1_000]), "\(shares)")
    }

    @Test("an endpoint that was tried is passed over, for the same one each time", arguments: policies)
    func tried(policy: BalancePolicy) {
        let fixture = BalancingFixture(5) { $0.balance = policy }
        let first = fixture.picks(1, key: key)[0].index
        let second = Set(fixture.picks(20, tried: fixture.tried(first), key: { _ in key(0) }).map(\.index))
        #expect(second.count == 1 && !second.contains(first))
    }

    @Test("tables stay within their bounds whatever the weights", arguments: policies)
    func bounds(policy: BalancePolicy) {
        let weights = (0..<1_000).map { EndpointTraits(weight: 1 + $0 % 100) }
        let fixture = BalancingFixture(weights) { $0.balance = policy }
        let shares = fixture.shares(10_000, key: { UInt64($0) })
        let light = shares.indices.filter { $0 % 100 < 50 }.reduce(0) { $0 + shares[$1] }
        // 1 + … + 50 of 1 + … + 100.
        #expect(abs(Double(light) / 10_000 - 1_275 / 5_050) < 0.02, "\(light)")
    }
}
