import Telemetry

/// What `/metrics` tells about membership and discovery.
enum DiscoveryMetrics {
    static func families(_ clusters: [ClusterStatus]) -> [MetricFamily] {
        var endpoints = MetricFamily(.gauge, "ekiden_endpoints", "Endpoints of a cluster, by state.")
        var evictions = MetricFamily(
            .counter, "ekiden_discovery_evictions_total",
            "Endpoints that left because nobody could reach them and the latest answer did not name them.")
        for cluster in clusters {
            for state in EndpointState.allCases {
                let count = cluster.endpoints.count { EndpointState(of: $0) == state }
                endpoints.samples.append(
                    .init(Double(count), ["cluster": cluster.name, "state": state.rawValue]))
            }
            evictions.samples.append(.init(Double(cluster.evictions), ["cluster": cluster.name]))
        }
        return [endpoints, evictions] + answers(clusters) + coverage(clusters)
    }

    /// How the looks go.
    private static func answers(_ clusters: [ClusterStatus]) -> [MetricFamily] {
        var age = MetricFamily(
            .gauge, "ekiden_dns_answer_age_seconds",
            "Since the last good answer of discovery; the oldest of a cluster's sources.")
        var answers = MetricFamily(
            .counter, "ekiden_discovery_answers_total", "Looks of a cluster's sources that went well.")
        var failures = MetricFamily(
            .counter, "ekiden_discovery_failures_total", "Looks of a cluster's sources that failed.")
        for cluster in clusters {
            if let oldest = cluster.sources.compactMap(\.lastSuccessAge).max() {
                age.samples.append(.init(oldest.inSeconds, ["cluster": cluster.name]))
            }
            let (good, bad) = cluster.sources.reduce((0, 0)) { ($0.0 + $1.answers, $0.1 + $1.failures) }
            answers.samples.append(.init(Double(good), ["cluster": cluster.name]))
            failures.samples.append(.init(Double(bad), ["cluster": cluster.name]))
        }
        return [age, answers, failures]
    }

    /// How much of the whole is known. One sample per source that has been answered.
    private static func coverage(_ clusters: [ClusterStatus]) -> [MetricFamily] {
        var known = MetricFamily(
            .gauge, "ekiden_discovery_known_endpoints", "Endpoints that a source has shown and that count still.")
        var estimated = MetricFamily(
            .gauge, "ekiden_discovery_estimated_endpoints",
            "How many endpoints there probably are behind answers that were cut.")
        var share = MetricFamily(
            .gauge, "ekiden_discovery_coverage_ratio", "Known endpoints over estimated ones, 0 to 1.")
        var truncated = MetricFamily(
            .gauge, "ekiden_discovery_truncated", "Whether a source's latest answer was cut: 1 or 0.")
        for cluster in clusters {
            // Naming a source twice is of no use, but no reason for a page that no scraper takes.
            var seen: Set<DiscoverySource> = []
            for source in cluster.sources {
                guard let coverage = source.coverage, seen.insert(source.source).inserted else { continue }
                let labels: KeyValuePairs = ["cluster": cluster.name, "source": source.source.description]
                known.samples.append(.init(Double(coverage.known), labels))
                truncated.samples.append(.init(coverage.isTruncated ? 1 : 0, labels))
                if let estimate = coverage.estimated { estimated.samples.append(.init(estimate, labels)) }
                if let part = coverage.share { share.samples.append(.init(part, labels)) }
            }
        }
        return [known, estimated, share, truncated]
    }
}
