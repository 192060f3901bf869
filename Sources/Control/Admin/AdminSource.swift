package import Telemetry

/// Where the admin server gets what it shows. The closures are called once per request that needs them.
package struct AdminSource: Sendable {
    /// Of this program, for `ekiden_build_info`.
    package var version: String
    /// What the workers count.
    package var registry: MetricsRegistry
    package var readiness: @Sendable () async -> Readiness
    package var clusters: @Sendable () async -> [ClusterStatus]
    /// What discovery did for a cluster; nil for a name that no cluster has.
    package var timeline: @Sendable (_ cluster: String) async -> Timeline?
    /// What the process has to tell beside the workers, clusters and the system; names that nobody else uses.
    package var families: @Sendable () async -> [MetricFamily]

    package init(
        version: String, registry: MetricsRegistry, readiness: @escaping @Sendable () async -> Readiness,
        clusters: @escaping @Sendable () async -> [ClusterStatus],
        timeline: @escaping @Sendable (_ cluster: String) async -> Timeline? = { _ in nil },
        families: @escaping @Sendable () async -> [MetricFamily] = { [] }
    ) {
        self.version = version
        self.registry = registry
        self.readiness = readiness
        self.clusters = clusters
        self.timeline = timeline
        self.families = families
    }

    /// Everything that `/metrics` shows.
    func allFamilies() async -> [MetricFamily] {
        let readiness = await readiness()
        let state = [
            MetricFamily(.gauge, "ekiden_build_info", "1; the labels say what runs.", [.init(1, ["version": version])]),
            MetricFamily(
                .gauge, "ekiden_ready", "Whether /ready answers 200: 1 or 0.", [.init(readiness.isReady ? 1 : 0)]),
        ]
        return await state + registry.families() + DiscoveryMetrics.families(clusters()) + families()
            + ProcessMetrics.families()
    }
}
