import DNS
import Policy

/// What all sources of a cluster say together.
struct DiscoveredMembers: Sendable {
    struct Member: Sendable, Equatable {
        var traits: EndpointTraits
        /// Whether the latest answer of a source named it.
        var isConfirmed: Bool
    }

    var members: [EndpointAddress: Member] = [:]
    /// Whether each source that counts has had a good answer.
    var isComplete = true
    var resolution = Cluster.Resolution.resolved

    /// Where two sources name an address, the first one's traits count.
    mutating func add(_ address: EndpointAddress, _ member: Member) {
        members[address, default: member].isConfirmed = member.isConfirmed || members[address]?.isConfirmed == true
    }
}

/// One cluster between snapshots: what must stay the same object while its endpoints come and go.
struct ClusterMembership: Sendable {
    /// As of the last update.
    private(set) var cluster: Cluster
    let refresh: RefreshTargets
    var timeline = Timeline()
    /// Endpoints that left although discovery still lists them, because nobody could reach them.
    private(set) var evictions = 0
    private var endpoints: [EndpointAddress: Endpoint] = [:]
    /// Attributes that routes choose by.
    private var subsets: [[String: String]] = []
    private var sources: [DiscoverySource]
    /// What makes the sources that run the same as before; differs also where only their rules do.
    private var keys: [SourceKey]
    /// What the last update came to, in the order of the addresses.
    private var current: [(address: EndpointAddress, traits: EndpointTraits)] = []
    /// Members from before a reload that changed sources, held until every source has had a good answer: a new name,
    /// or a new rule for an old one, must not empty a cluster while it is looked up.
    private var inherited: [EndpointAddress: DiscoveredMembers.Member] = [:]
    /// Addresses that a worker could not reach, for a reason of the task's. An endpoint may also be unreachable because
    /// this host has run out of something; that is no evidence.
    private var reported: Set<EndpointAddress> = []
    /// Addresses that left on evidence; only an answer that names them brings them back.
    private(set) var evicted: Set<EndpointAddress> = []
    /// Whether there ever was an endpoint.
    private(set) var hasHadEndpoints = false
    /// Endpoints that left lately. A stale record may list one again: what is known about it is still true then.
    private var departed: [EndpointAddress: Departed] = [:]

    private struct Departed {
        let endpoint: Endpoint
        let time: Duration
    }

    private static let departedMemory: Duration = .seconds(600)
    private static let departedMaximum = 1_024

    /// - Parameters:
    ///   - id: never used before in this process.
    ///   - reportUnreachable: called by the workers.
    init(
        rule: ClusterRule, keys: [SourceKey], id: Int,
        reportUnreachable: @escaping @Sendable (Endpoint, _ reason: String) -> Void
    ) {
        let refresh = RefreshTargets()
        self.refresh = refresh
        sources = rule.discover
        self.keys = keys
        cluster = Cluster(
            name: rule.name, settings: rule.settings, endpoints: [], resolution: .pending,
            state: ClusterState(
                id: id, requestRefresh: { refresh.request() }, reportUnreachable: reportUnreachable))
    }

    /// Takes the sources of a reload, and keeps what there is until they have answered.
    mutating func replaceSources(with sources: [DiscoverySource], keys: [SourceKey]) {
        guard sources != self.sources || keys != self.keys else { return }
        for member in current where inherited[member.address] == nil {
            // No answer of the new sources has named it, so that evidence counts against it.
            inherited[member.address] = .init(traits: member.traits, isConfirmed: false)
        }
        (self.sources, self.keys) = (sources, keys)
    }

    /// Takes what discovery says now. Endpoints whose address stays are the same objects as before.
    /// - Parameter now: ``DiscoveryClock`` time.
    /// - Returns: what changed; nil when nothing did, and then ``cluster`` is the same object as before.
    mutating func update(
        settings: ClusterSettings, subsets: [[String: String]] = [], discovered: DiscoveredMembers, now: Duration
    ) -> MembershipChange? {
        if discovered.isComplete { inherited.removeAll() }
        var members = discovered.members.merging(inherited) { first, _ in first }
        let evictedNow = evict(from: &members)
        let added = members.keys.filter { endpoints[$0] == nil }
        let removed = endpoints.keys.filter { members[$0] == nil }
        let order = members.keys.sorted(by: Self.isOrderedBefore)
        let traits = order.map { members[$0]?.traits ?? EndpointTraits() }
        guard
            !added.isEmpty || !removed.isEmpty || settings != cluster.settings || subsets != self.subsets
                || discovered.resolution != cluster.resolution || traits != current.map(\.traits)
        else { return nil }

        depart(removed.compactMap { endpoints.removeValue(forKey: $0) }, now)
        for address in added {
            let endpoint = returning(address, now) ?? Endpoint(address: address)
            // Nobody has looked at it since it came, and checks are told of it only by the snapshot.
            endpoint.health.set(settings.healthCheck == nil ? .unchecked : .pending)
            endpoints[address] = endpoint
        }
        current = Array(zip(order, traits).map { (address: $0, traits: $1) })
        hasHadEndpoints = hasHadEndpoints || !endpoints.isEmpty
        evictions += evictedNow.count
        let previous = cluster.resolution
        self.subsets = subsets
        cluster = Cluster(
            name: cluster.name, settings: settings, endpoints: order.compactMap { endpoints[$0] }, traits: traits,
            subsets: subsets, resolution: discovered.resolution, state: cluster.state)
        return MembershipChange(
            cluster: cluster.name, added: added.sorted(by: Self.isOrderedBefore),
            removed: removed.sorted(by: Self.isOrderedBefore), evicted: evictedNow,
            endpointCount: endpoints.count, previousResolution: previous, resolution: discovered.resolution)
    }

    // MARK: Evidence

    /// A worker could not reach this endpoint.
    mutating func note(unreachable address: EndpointAddress) {
        reported.insert(address)
    }

    /// Takes out what no latest answer names and nobody can reach, up to half of the members: when more seem to be gone
    /// at once it is more likely that this side has lost its network, and they would be missed when it is back.
    /// - Returns: those that were endpoints until now.
    private mutating func evict(
        from members: inout [EndpointAddress: DiscoveredMembers.Member]
    ) -> [EndpointAddress] {
        evicted.formIntersection(members.keys)
        reported = reported.filter { endpoints[$0]?.isUnreachable == true }
        let unreachable = members.keys.count { evicted.contains($0) || endpoints[$0]?.isUnreachable == true }
        let mayEvict = unreachable * 2 <= members.count
        var evictedNow: [EndpointAddress] = []
        for (address, member) in members {
            if member.isConfirmed {
                evicted.remove(address)
            } else if evicted.contains(address) {
                members[address] = nil
            } else if mayEvict, reported.contains(address) {
                members[address] = nil
                evicted.insert(address)
                evictedNow.append(address)
            }
        }
        return evictedNow.sorted(by: Self.isOrderedBefore)
    }

    private mutating func depart(_ endpoints: [Endpoint], _ now: Duration) {
        guard !endpoints.isEmpty else { return }
        departed = departed.filter { now - $0.value.time < Self.departedMemory }
        for endpoint in endpoints { departed[endpoint.address] = Departed(endpoint: endpoint, time: now) }
        let excess = departed.count - Self.departedMaximum
        guard excess > 0 else { return }
        for oldest in departed.sorted(by: { $0.value.time < $1.value.time }).prefix(excess) {
            departed[oldest.key] = nil
        }
    }

    private mutating func returning(_ address: EndpointAddress, _ now: Duration) -> Endpoint? {
        guard let known = departed.removeValue(forKey: address), now - known.time < Self.departedMemory else {
            return nil
        }
        return known.endpoint
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
