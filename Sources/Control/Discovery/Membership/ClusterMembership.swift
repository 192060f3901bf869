import DNS
import Policy

/// One cluster between snapshots: what must stay the same object while its endpoints come and go.
struct ClusterMembership: Sendable {
    /// As of the last update.
    private(set) var cluster: Cluster
    let refresh: RefreshTargets
    private var endpoints: [EndpointAddress: Endpoint] = [:]
    private var sources: [DiscoverySource]
    /// Addresses of sources that a reload took away, held until every source that replaced them has had a good
    /// answer: a new name must not empty a cluster while it is looked up.
    private var inherited: Set<EndpointAddress> = []

    /// - Parameter id: never used before in this process.
    init(rule: ClusterRule, id: Int) {
        let refresh = RefreshTargets()
        self.refresh = refresh
        sources = rule.discover
        cluster = Cluster(
            name: rule.name, settings: rule.settings, endpoints: [], resolution: .pending,
            state: ClusterState(id: id, requestRefresh: { refresh.request() }))
    }

    /// Takes the sources of a reload.
    /// - Parameter addresses: what a source says now; asked for those that go.
    mutating func replaceSources(
        with sources: [DiscoverySource], addresses: (DiscoverySource) -> [EndpointAddress]
    ) {
        for source in self.sources where !sources.contains(source) { inherited.formUnion(addresses(source)) }
        self.sources = sources
    }

    /// Takes what discovery says now. Endpoints whose address stays are the same objects as before.
    /// - Parameter isComplete: whether each source has had a good answer.
    /// - Returns: what changed; nil when nothing did, and then ``cluster`` is the same object as before.
    mutating func update(
        settings: ClusterSettings, addresses discovered: Set<EndpointAddress>, isComplete: Bool,
        resolution: Cluster.Resolution
    ) -> MembershipChange? {
        if isComplete { inherited.removeAll() }
        let addresses = discovered.union(inherited)
        let added = addresses.subtracting(endpoints.keys)
        let removed = endpoints.keys.filter { !addresses.contains($0) }
        guard !added.isEmpty || !removed.isEmpty || settings != cluster.settings || resolution != cluster.resolution
        else { return nil }

        for address in removed { endpoints[address] = nil }
        for address in added { endpoints[address] = Endpoint(address: address) }
        let previous = cluster.resolution
        cluster = Cluster(
            name: cluster.name, settings: settings,
            endpoints: endpoints.values.sorted { Self.isOrderedBefore($0.address, $1.address) },
            resolution: resolution, state: cluster.state)
        return MembershipChange(
            cluster: cluster.name, added: added.sorted(by: Self.isOrderedBefore),
            removed: removed.sorted(by: Self.isOrderedBefore), endpointCount: endpoints.count,
            previousResolution: previous, resolution: resolution)
    }

    /// Numerical order, so that lists read well; text decides for what is not an IP literal.
    private static func isOrderedBefore(_ first: EndpointAddress, _ second: EndpointAddress) -> Bool {
        guard first.host != second.host else { return first.port < second.port }
        if let firstIP = IPAddress(text: first.host), let secondIP = IPAddress(text: second.host), firstIP != secondIP {
            return firstIP < secondIP
        }
        return first.host < second.host
    }
}

/// What an update did to a cluster, and how the log tells it.
struct MembershipChange: Sendable, Equatable {
    let cluster: String
    let added: [EndpointAddress]
    let removed: [EndpointAddress]
    let endpointCount: Int
    let previousResolution: Cluster.Resolution
    let resolution: Cluster.Resolution

    /// `cluster users: +10.0.0.4:50051 -10.0.0.2:50051 (3 endpoints, ttl 5s)`; nil when no endpoint came or went.
    func membershipLine(ttl: UInt32?) -> String? {
        guard !added.isEmpty || !removed.isEmpty else { return nil }
        let changes = added.map { "+\($0)" } + removed.map { "-\($0)" }
        let shown = changes.prefix(Self.changesShown)
        let more = changes.count > shown.count ? " and \(changes.count - shown.count) more" : ""
        let ttl = ttl.map { ", ttl \($0)s" } ?? ""
        return "cluster \(cluster): \(shown.joined(separator: " "))\(more) (\(countText)\(ttl))"
    }

    /// `cluster users: SERVFAIL for users.local from 10.0.0.2:53; keeping 3 endpoints`; nil when resolution has not
    /// begun to fail, or to fail otherwise than before.
    var failureLine: String? {
        guard case .failed(let reason) = resolution, resolution != previousResolution else { return nil }
        return endpointCount > 0
            ? "cluster \(cluster): \(reason); keeping \(countText)" : "cluster \(cluster): \(reason); no endpoint yet"
    }

    /// `cluster users: resolved again (3 endpoints)`; nil when it had not failed.
    var recoveryLine: String? {
        guard case .failed = previousResolution, resolution == .resolved else { return nil }
        return "cluster \(cluster): resolved again (\(countText))"
    }

    /// A line of a thousand addresses helps nobody.
    private static let changesShown = 20

    private var countText: String { endpointCount == 1 ? "1 endpoint" : "\(endpointCount) endpoints" }
}
