import DNS
import FoundationEssentials
import Logging
import Policy

extension Configuration {
    /// The attributes by which routes choose among the endpoints of a cluster, each once and in the order of the file.
    fileprivate func subsets(of cluster: String) -> [[String: String]] {
        routes.reduce(into: []) { subsets, route in
            let subset = route.settings.subset
            if route.cluster == cluster, !subset.isEmpty, !subsets.contains(subset) { subsets.append(subset) }
        }
    }
}

// MARK: What the sources of a cluster say

extension ClusterDirectory {
    func key(of source: DiscoverySource, in rule: ClusterRule) -> SourceKey? {
        SourceKey(source, rules: rule.answers.applied(to: configuration.dns.answers))
    }

    func keys(of rule: ClusterRule) -> [SourceKey] {
        rule.discover.compactMap { key(of: $0, in: rule) }
    }

    /// What one source says now.
    struct SourceView {
        var members: [EndpointAddress: DiscoveredMembers.Member] = [:]
        /// Of a source that runs and has been looked at.
        var report: SourceReport?
        /// Why its last look failed.
        var failure: String?
        var isPending = false

        /// Whether its members, if any, are those of a good answer.
        var hasSucceeded: Bool {
            if let report { report.lastSuccess != nil } else { !isPending && failure == nil }
        }
    }

    func view(of source: DiscoverySource, in rule: ClusterRule) -> SourceView {
        var view = SourceView()
        if case .fixed(let addresses) = source {
            for address in addresses { view.members[address] = .init(traits: EndpointTraits(), isConfirmed: true) }
            return view
        }
        guard let key = key(of: source, in: rule) else {
            view.failure = DNSFailure(.invalidName, name: source.name ?? "\(source)").description
            return view
        }
        guard let report = reports[key] else {
            view.isPending = true
            return view
        }
        view.report = report
        let located = source.located(report.endpoints, clusterPort: rule.port)
        view.failure = report.failure ?? located.problem
        for (address, endpoint) in located.endpoints {
            view.members[address] = .init(traits: endpoint.traits, isConfirmed: endpoint.isConfirmed)
        }
        return view
    }

    /// Joins what the sources of a cluster say, as the cluster wants it.
    private func discovered(by rule: ClusterRule, _ views: [SourceView]) -> DiscoveredMembers {
        var counted = views
        // A source that nobody has looked at yet may be the one: the next in line does not step in before it spoke.
        if rule.combine == .first,
            let first = views.first(where: { $0.isPending || $0.hasSucceeded && !$0.members.isEmpty })
        {
            counted = [first]
        }
        var discovered = DiscoveredMembers()
        for view in counted {
            for (address, member) in view.members { discovered.add(address, member) }
        }
        discovered.isComplete = counted.allSatisfy(\.hasSucceeded)
        let failures = counted.compactMap(\.failure)
        if !failures.isEmpty {
            discovered.resolution = .failed(failures.joined(separator: "; "))
        } else if counted.contains(where: \.isPending) {
            discovered.resolution = .pending
        }
        return discovered
    }

    /// - Returns: whether the cluster changed.
    func update(_ rule: ClusterRule) -> Bool {
        let views = rule.discover.map { view(of: $0, in: rule) }
        let change = memberships[rule.name]?.update(
            settings: rule.settings, subsets: configuration.subsets(of: rule.name),
            discovered: discovered(by: rule, views), now: clock.now())
        guard let change else { return false }
        let now = WallClock.now
        for event in change.events { memberships[rule.name]?.timeline.append(event, source: nil, at: now) }
        let ttl = views.compactMap(\.report?.ttl).min()
        if let line = change.membershipLine(ttl: ttl) { logger.info("\(line)") }
        if let line = change.failureLine { logger.warning("\(line)") }
        if let line = change.recoveryLine { logger.info("\(line)") }
        return true
    }

    // MARK: What is told

    /// Writes events into a cluster's timeline, and the news among them into the log.
    func note(_ events: [DiscoveryEvent], of source: DiscoverySource?, in cluster: String) {
        let now = WallClock.now
        // Who came is told by the cluster itself, with port and sum.
        for event in events where event.kind != .added {
            let isNews = memberships[cluster]?.timeline.append(event, source: source?.description, at: now) ?? false
            switch event.kind {
            case .answer, .expired:
                if isNews { logger.info("cluster \(cluster): \(event.text)") }
            case .unreachable:
                if isNews { logger.warning("cluster \(cluster): \(event.text)") }
            case .missed:
                logger.debug("cluster \(cluster): \(event.text)")
            case .added, .failed, .recovered:
                // The cluster's own lines say these, for all sources together.
                break
            }
        }
    }

    /// All clusters in the order of the configuration.
    package func status() -> [ClusterStatus] {
        let now = clock.now()
        return configuration.clusters.compactMap { rule in
            guard let membership = memberships[rule.name] else { return nil }
            let cluster = membership.cluster
            return ClusterStatus(
                name: cluster.name, settings: cluster.settings, combine: rule.combine, resolution: cluster.resolution,
                endpoints: cluster.endpoints, traits: cluster.traits, evictions: membership.evictions,
                evicted: membership.evicted.sorted { $0.description < $1.description },
                hasHadEndpoints: membership.hasHadEndpoints,
                sources: rule.discover.map { status(of: $0, in: rule, now: now) })
        }
    }

    private func status(of source: DiscoverySource, in rule: ClusterRule, now: Duration) -> SourceStatus {
        let view = view(of: source, in: rule)
        let report = view.report
        return SourceStatus(
            source: source, addressCount: view.members.count, coverage: report?.coverage, ttl: report?.ttl,
            lastSuccessAge: age(of: view, source, now), isFailing: view.failure != nil,
            lastFailure: view.failure ?? report?.lastFailure, answers: report?.answers ?? 0,
            failures: report?.failures ?? 0)
    }

    /// Since the last good answer. A file reports only what is new, so that one without a fault is as old as a look.
    private func age(of view: SourceView, _ source: DiscoverySource, _ now: Duration) -> Duration? {
        guard let success = view.report?.lastSuccess else { return nil }
        if case .file = source, view.failure == nil { return .zero }
        return now - success
    }

    /// The last events of a cluster, the newest last; nil for a cluster that there is not.
    package func timeline(of cluster: String) -> Timeline? {
        memberships[cluster]?.timeline
    }
}

extension DiscoverySource {
    /// The DNS name that it asks for, as the configuration has it.
    fileprivate var name: String? {
        switch self {
        case .dns(let name, _), .srv(let name): name
        case .file, .fixed: nil
        }
    }
}
