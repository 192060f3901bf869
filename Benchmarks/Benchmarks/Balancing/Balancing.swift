import Benchmark
import Policy

/// What a pick costs, by policy and number of endpoints. It should not grow with them.
let benchmarks: @Sendable () -> Void = {
    let sizes = [2, 20, 200, 1_000]
    let configuration = Benchmark.Configuration(
        metrics: [.wallClock], scalingFactor: .kilo, maxDuration: .milliseconds(200))
    // Tables take milliseconds to build.
    let building = Benchmark.Configuration(
        metrics: [.wallClock], scalingFactor: .one, maxDuration: .milliseconds(200))

    for size in sizes {
        for policy in BalancePolicy.allCases {
            Benchmark("pick \(policy.rawValue), \(size) endpoints", configuration: configuration) { benchmark in
                measure(benchmark, cluster(size, policy))
            }
            Benchmark("pick \(policy.rawValue), \(size) endpoints with weights 1 to 5", configuration: configuration) {
                measure($0, cluster(size, policy, weight: { 1 + $0 % 5 }))
            }
            Benchmark(
                "pick \(policy.rawValue), \(size) endpoints, one in ten unreachable", configuration: configuration
            ) {
                let cluster = cluster(size, policy)
                for index in stride(from: 0, to: size, by: 10) {
                    cluster.endpoints[index].recordUnreachable(now: 0, base: .max / 2, ceiling: .max / 2)
                }
                measure($0, cluster)
            }
        }
        for (name, cluster) in special(size) {
            Benchmark("pick round_robin, \(size) endpoints, \(name)", configuration: configuration) {
                measure($0, cluster, subset: canary)
            }
        }
        for policy in [BalancePolicy.ringHash, .maglev] {
            Benchmark("new cluster of \(policy.rawValue), \(size) endpoints", configuration: building) {
                let before = cluster(size, policy)
                for _ in $0.scaledIterations {
                    blackHole(
                        Cluster(
                            name: before.name, settings: before.settings, endpoints: before.endpoints,
                            traits: before.traits, resolution: .resolved, state: before.state))
                }
            }
        }
        Benchmark("new cluster after one endpoint changed, \(size) endpoints", configuration: configuration) {
            benchmark in
            let before = cluster(size, .roundRobin)
            var endpoints = before.endpoints
            for index in benchmark.scaledIterations {
                endpoints[index % size] = Endpoint(address: EndpointAddress(host: "10.9.9.9", port: index))
                blackHole(
                    Cluster(
                        name: before.name, settings: before.settings, endpoints: endpoints, traits: before.traits,
                        resolution: .resolved, state: before.state))
            }
        }
    }
}

private let canary = ["version": "2"]

/// What leaves the short way of a pick: a subset that routes name, one that they do not, a preferred zone, new
/// endpoints.
private func special(_ size: Int) -> [(name: String, cluster: Cluster)] {
    var settings = ClusterSettings()
    settings.slowStart = .seconds(60)
    let plain = cluster(size, .roundRobin)
    func variant(_ settings: ClusterSettings, _ subsets: [[String: String]]) -> Cluster {
        Cluster(
            name: plain.name, settings: settings, endpoints: plain.endpoints,
            traits: (0..<size).map {
                EndpointTraits(attributes: ["version": $0 % 2 == 0 ? "2" : "1", "zone": $0 % 4 < 2 ? "a" : "b"])
            }, subsets: subsets, resolution: .resolved, state: ClusterState(id: 2))
    }
    var zone = ClusterSettings()
    zone.zone = ZonePreference(own: "a")
    return [
        ("subset", variant(ClusterSettings(), [canary])), ("unknown subset", variant(ClusterSettings(), [])),
        ("subset, preferred zone", variant(zone, [canary])), ("subset, all new", variant(settings, [canary])),
    ]
}

private func measure(_ benchmark: Benchmark, _ cluster: Cluster, subset: [String: String] = [:]) {
    var random = SplitMix64(seed: 1)
    let tried = TriedEndpoints()
    benchmark.startMeasurement()
    for number in benchmark.scaledIterations {
        blackHole(
            Balancer.pick(
                in: cluster, tried: tried, key: UInt64(number), subset: subset, now: 1, random: &random))
    }
}

private func cluster(_ size: Int, _ balance: BalancePolicy, weight: (Int) -> Int = { _ in 1 }) -> Cluster {
    var settings = ClusterSettings()
    settings.balance = balance
    return Cluster(
        name: "users", settings: settings,
        endpoints: (0..<size).map { Endpoint(address: EndpointAddress(host: "10.0.\($0 / 256).\($0 % 256)", port: 1)) },
        traits: (0..<size).map { EndpointTraits(weight: weight($0)) }, resolution: .resolved,
        state: ClusterState(id: 1))
}
