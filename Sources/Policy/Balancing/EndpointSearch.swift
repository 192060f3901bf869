/// One pick that is not just the next turn: who may have the stream, tier by tier, and what was seen on the way.
///
/// The policies are in extensions, a file each. They draw without regard to who fits and pass over who does not;
/// taking a neighbour instead would give that neighbour twice its share.
struct EndpointSearch {
    let cluster: Cluster
    let set: EndpointSet
    let tried: TriedEndpoints
    /// Attributes that an endpoint must have; empty where ``set`` is made of those that have them.
    let filter: [String: String]
    /// Nil under policies that draw by turn or by lot.
    let key: UInt64?
    /// Nanoseconds of the monotonic clock.
    let now: Int64
    var random: SplitMix64
    /// Whether ejections and checks are believed.
    private var isCredulous = true
    /// An unreachable endpoint whose pause is over.
    private var probe: Int?
    /// An ejected endpoint whose trial this stream is. Whoever finds it set takes it, for the right to it is claimed.
    private(set) var trial: Int?
    /// Whether too few of the tier at hand are usable to believe that; nil before anybody asked.
    private var isPanic: Bool?
    /// Index of the tier at hand.
    private var tier = 0

    init(
        cluster: Cluster, set: EndpointSet, tried: TriedEndpoints, filter: [String: String], key: UInt64?, now: Int64,
        random: SplitMix64
    ) {
        self.cluster = cluster
        self.set = set
        self.tried = tried
        self.filter = filter
        self.key = cluster.rules.isKeyed ? key : nil
        self.now = now
        self.random = random
    }

    var rules: BalanceRules { cluster.rules }

    /// - Parameter passedOver: an endpoint of the only tier whose turn has been drawn already. It keeps its turn where
    ///   nobody else is usable; to draw once more in each pick would favour some.
    mutating func run(passedOver: Int?) -> Balancer.Pick? {
        if let index = sweep(passedOver) { return pick(index) }
        isCredulous = false
        if let index = sweep(passedOver) { return pick(index) }
        // Nobody can be reached: whoever tries is the probe.
        return unreachable(from: passedOver ?? nextTurn(isFar: false)).map { Balancer.Pick(index: $0) }
    }

    /// Looks through the tiers for somebody who fits.
    private mutating func sweep(_ passedOver: Int?) -> Int? {
        if let passedOver, takes(passedOver) { return passedOver }
        for index in set.tiers.indices {
            (tier, isPanic) = (index, nil)
            if let index = choose(from: set.tiers[index]) { return index }
        }
        return nil
    }

    private func pick(_ index: Int) -> Balancer.Pick {
        Balancer.Pick(index: index, probe: probe, isTrial: trial == index)
    }

    /// A tier without anybody who fits draws nothing: its draws would decide whose turn it is in the next one.
    private mutating func choose(from tier: EndpointTier) -> Int? {
        guard let far = tier.far else { return finds(in: tier.near) ? trial ?? draw(from: tier.near) : nil }
        guard finds(in: tier.near) else { return finds(in: far) ? trial ?? draw(from: far, isFar: true) : nil }
        return trial ?? drawNear(tier.near, far)
    }

    /// Whether somebody in the group fits.
    mutating func finds(in group: EndpointGroup) -> Bool {
        for member in group.members where takes(Int(member)) { return true }
        return false
    }

    /// One of the group that fits, by the cluster's policy. There is one.
    mutating func draw(from group: EndpointGroup, isFar: Bool = false) -> Int {
        switch rules.policy {
        case .roundRobin: roundRobin(group, isFar: isFar)
        case .leastRequest, .peakEWMA: lessLoaded(group)
        case .random: anyone(of: group)
        case .ringHash, .maglev: keyed(group)
        }
    }

    // MARK: Who fits

    /// Whether the stream may go to an endpoint. Notes who should be tried again instead.
    mutating func takes(_ index: Int) -> Bool {
        let endpoint = cluster.endpoints[index]
        if endpoint.isUnreachable {
            if probe == nil, !endpoint.isCoolingDown(now: now) { probe = index }
            return false
        }
        guard isOpen(endpoint, index) else { return false }
        if endpoint.isUsable { return true }
        if endpoint.health.isFit, endpoint.outlier.claimTrial(now: now) {
            trial = index
            return true
        }
        return !isCredulous || panics()
    }

    /// Whether this exchange may have the endpoint, whatever its state.
    private func isOpen(_ endpoint: Endpoint, _ index: Int) -> Bool {
        (tried.isEmpty || !tried.contains(endpoint)) && !isFull(endpoint)
            && (filter.isEmpty || cluster.traits[index].matches(filter))
    }

    /// Workers look at the same time: the limit may be exceeded by as many streams as there are workers.
    private func isFull(_ endpoint: Endpoint) -> Bool {
        rules.isFull(endpoint)
    }

    /// Whether so few endpoints of the tier are usable that ejections and checks are not believed. Looks at all of
    /// them, once per pick, and only where the pick has come upon one that is not usable.
    private mutating func panics() -> Bool {
        guard rules.panicThreshold > 0 else { return false }
        if let isPanic { return isPanic }
        let answer = cluster.panics(set.tiers[tier], filter: filter)
        isPanic = answer
        return answer
    }

    /// Whether nothing speaks against the endpoint; claims and notes nothing.
    func isUsable(_ index: Int) -> Bool {
        let endpoint = cluster.endpoints[index]
        return endpoint.isUsable && isOpen(endpoint, index)
    }

    /// The share (0...1) of a group that takes streams, by weight.
    func usableShare(of group: EndpointGroup) -> Double {
        var usable = 0
        var total = 0
        for member in group.members {
            let index = Int(member)
            if !filter.isEmpty, !cluster.traits[index].matches(filter) { continue }
            let weight = max(cluster.traits[index].weight, 1)
            total += weight
            if cluster.endpoints[index].isUsable, !isFull(cluster.endpoints[index]) { usable += weight }
        }
        return total == 0 ? 0 : Double(usable) / Double(total)
    }

    /// Of endpoints that cannot be reached and were not tried: one whose pause is over if there is one, in turn.
    private func unreachable(from start: Int) -> Int? {
        var pausing: Int?
        for tier in set.tiers {
            if let index = unreachable(in: tier.near, start, &pausing) { return index }
            if let far = tier.far, let index = unreachable(in: far, start, &pausing) { return index }
        }
        return pausing
    }

    private func unreachable(in group: EndpointGroup, _ start: Int, _ pausing: inout Int?) -> Int? {
        let count = group.members.count
        for step in 0..<count {
            let index = Int(group.members[Int(UInt(bitPattern: start &+ step) % UInt(count))])
            let endpoint = cluster.endpoints[index]
            if !isOpen(endpoint, index) { continue }
            if !endpoint.isCoolingDown(now: now) { return index }
            pausing = pausing ?? index
        }
        return nil
    }
}
