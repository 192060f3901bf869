import Telemetry

/// What `/metrics` tells about membership and discovery.
enum DiscoveryMetrics {
    static func families(_ clusters: [ClusterStatus]) -> [MetricFamily] {
        var endpoints = MetricFamily(.gauge, "ekiden_endpoints", "Endpoints of a cluster, by state.")
        var age = MetricFamily(
            .gauge, "ekiden_dns_answer_age_seconds", "Since the last good DNS answer; the oldest of a cluster's names.")
        var failures = MetricFamily(
            .counter, "ekiden_discovery_failures_total", "Lookups of a cluster's names that failed.")
        for cluster in clusters {
            for state in EndpointState.allCases {
                let count = cluster.endpoints.count { EndpointState(of: $0) == state }
                endpoints.samples.append(
                    .init(Double(count), ["cluster": cluster.name, "state": state.rawValue]))
            }
            if let oldest = cluster.sources.compactMap(\.lastSuccessAge).max() {
                age.samples.append(.init(oldest.inSeconds, ["cluster": cluster.name]))
            }
            let failed = cluster.sources.reduce(0) { $0 + $1.failures }
            failures.samples.append(.init(Double(failed), ["cluster": cluster.name]))
        }
        return [endpoints, age, failures]
    }
}
