import Synchronization

@testable import Policy

/// A cluster to draw from, and what was drawn.
struct BalancingFixture {
    static let second: Int64 = 1_000_000_000

    let cluster: Cluster

    init(
        _ traits: [EndpointTraits], subsets: [[String: String]] = [], state: ClusterState = ClusterState(id: 1),
        endpoints: [Endpoint]? = nil, _ change: (inout ClusterSettings) -> Void = { _ in }
    ) {
        var settings = ClusterSettings()
        change(&settings)
        cluster = Cluster(
            name: "users", settings: settings, endpoints: endpoints ?? Self.endpoints(traits.count), traits: traits,
            subsets: subsets, resolution: .resolved, state: state)
    }

    init(_ count: Int, _ change: (inout ClusterSettings) -> Void = { _ in }) {
        self.init(Array(repeating: EndpointTraits(), count: count), change)
    }

    static func endpoints(_ count: Int) -> [Endpoint] {
        (0..<count).map { Endpoint(address: EndpointAddress(host: "10.0.\($0 / 250).\($0 % 250 + 1)", port: 50_051)) }
    }

    func eject(_ indices: Int..., now: Int64 = 0) {
        for index in indices { _ = cluster.endpoints[index].outlier.eject(now: now, OutlierSettings()) }
    }

    func unreachable(_ indices: Int...) {
        for index in indices {
            cluster.endpoints[index].recordUnreachable(
                now: 0, base: 1_000 * Self.second, ceiling: 1_000 * Self.second)
        }
    }

    func set(_ health: EndpointHealth.State, _ indices: Int...) {
        for index in indices { cluster.endpoints[index].health.set(health) }
    }

    func active(_ streams: Int, _ index: Int) {
        cluster.endpoints[index].activeStreams.store(streams, ordering: .relaxed)
    }

    func tried(_ indices: Int...) -> TriedEndpoints {
        var tried = TriedEndpoints()
        for index in indices { tried.insert(cluster.endpoints[index]) }
        return tried
    }

    func picks(
        _ count: Int, tried: TriedEndpoints = TriedEndpoints(), subset: [String: String] = [:],
        now: Int64 = second, seed: UInt64 = 1, key: (Int) -> UInt64? = { _ in nil }
    ) -> [Balancer.Pick] {
        var random = SplitMix64(seed: seed)
        return (0..<count).compactMap {
            Balancer.pick(in: cluster, tried: tried, key: key($0), subset: subset, now: now, random: &random)
        }
    }

    /// How often each endpoint is picked.
    func shares(
        _ count: Int, tried: TriedEndpoints = TriedEndpoints(), subset: [String: String] = [:], now: Int64 = second,
        seed: UInt64 = 1, key: (Int) -> UInt64? = { _ in nil }
    ) -> [Int] {
        var shares = [Int](repeating: 0, count: cluster.endpoints.count)
        for pick in picks(count, tried: tried, subset: subset, now: now, seed: seed, key: key) {
            shares[pick.index] += 1
        }
        return shares
    }
}

/// Whether counts fit what is expected of them: none is further off than five standard deviations.
func isLikely(_ counts: [Int], _ expected: [Double]) -> Bool {
    let total = expected.reduce(0, +)
    return zip(counts, expected).allSatisfy { count, mean in
        abs(Double(count) - mean) <= 5 * (mean * (1 - mean / total)).squareRoot() + 1
    }
}
