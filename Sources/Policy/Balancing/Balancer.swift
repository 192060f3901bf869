import Synchronization

/// Picks the endpoint of a stream.
///
/// Endpoints that cannot be reached are passed over while another one is left, in the preferred tier first and then in
/// the next; when there is none, all count (the set is never emptied by us), those first whose pause is over.
/// Endpoints that the exchange has tried are passed over; when all were tried the pick is nil.
package enum Balancer {
    /// What a pick came to.
    package struct Pick: Equatable {
        /// An index into ``Cluster/endpoints``.
        package var index: Int
        /// An unreachable endpoint that was passed over, whose pause is over: somebody should try it, without a stream.
        package var probe: Int?
        /// Whether the stream is the trial of an ejected endpoint, claimed with ``OutlierRecord/claimTrial(now:)``.
        package var isTrial = false
    }

    /// Draws from the cursor until an endpoint fits; after so many a member is drawn by lot instead. More would make a
    /// pick long where a heavy endpoint is dead and most turns are its.
    private static let drawsMax = 64

    /// - Parameters:
    ///   - cluster: the members and the shared cursor.
    ///   - tried: endpoints that this exchange has been on already.
    ///   - key: what `ring_hash` and `maglev` go by; nil goes anywhere.
    ///   - subset: attributes that the endpoint must have.
    ///   - now: nanoseconds of the monotonic clock.
    ///   - random: the worker's generator.
    /// - Returns: nil when no endpoint is left.
    package static func pick(
        in cluster: Cluster, tried: TriedEndpoints, key: UInt64? = nil, subset: [String: String] = [:], now: Int64,
        random: inout SplitMix64
    ) -> Pick? {
        let count = cluster.endpoints.count
        if count == 0 { return nil }
        if tried.isEmpty, count == 1 { return Pick(index: 0) }
        // Nearly every pick ends here: one tier, equal weights, and whose turn it is can be reached.
        var passedOver: Int?
        if cluster.isPlain, tried.isEmpty, cluster.settings.balance == .roundRobin {
            let turn = cluster.state.roundRobinCursor.wrappingAdd(1, ordering: .relaxed).oldValue
            let index = Int(UInt(bitPattern: turn) % UInt(count))
            if !cluster.endpoints[index].isUnreachable { return Pick(index: index) }
            passedOver = index
        }
        return search(cluster, tried, now, &random, passedOver)
    }

    /// - Parameter passedOver: an unreachable endpoint whose turn has been drawn already.
    @inline(never)
    private static func search(
        _ cluster: Cluster, _ tried: TriedEndpoints, _ now: Int64, _ random: inout SplitMix64, _ passedOver: Int?
    ) -> Pick? {
        var fitness = Fitness(now: now)
        if let passedOver { _ = fitness.takes(cluster.endpoints[passedOver], passedOver, tried) }
        for tier in cluster.tiers {
            // A tier without anybody who fits draws nothing: its draws would decide whose turn it is in the next one.
            guard tier.members.contains(where: { fitness.takes(cluster.endpoints[$0], $0, tried) }) else { continue }
            let index: Int
            switch cluster.settings.balance {
            case .roundRobin: index = roundRobin(cluster, tier, tried, &fitness, &random)
            case .leastRequest, .peakEWMA, .random, .ringHash, .maglev:
                index = leastRequest(cluster, tier, tried, &fitness, &random)
            }
            return Pick(index: index, probe: fitness.probe)
        }
        // Nobody can be reached: whoever tries is the probe.
        return unreachable(cluster, tried, now).map { Pick(index: $0) }
    }

    /// Whether a stream may go to an endpoint, and who should be tried again instead.
    private struct Fitness {
        let now: Int64
        var probe: Int?

        mutating func takes(_ endpoint: Endpoint, _ index: Int, _ tried: TriedEndpoints) -> Bool {
            if endpoint.isUnreachable {
                if probe == nil, !endpoint.isCoolingDown(now: now) { probe = index }
                return false
            }
            return tried.isEmpty || !tried.contains(endpoint)
        }
    }

    /// An endpoint that does not fit loses its turn, and the others keep equal shares: taking the neighbour instead
    /// would give that neighbour twice its share.
    private static func roundRobin(
        _ cluster: Cluster, _ tier: Cluster.Tier, _ tried: TriedEndpoints, _ fitness: inout Fitness,
        _ random: inout SplitMix64
    ) -> Int {
        for _ in 0..<min(tier.turns, max(tier.members.count, drawsMax)) {
            let turn = cluster.state.roundRobinCursor.wrappingAdd(1, ordering: .relaxed).oldValue
            let index = tier.index(at: turn)
            if fitness.takes(cluster.endpoints[index], index, tried) { return index }
        }
        // Most turns are those of a heavy endpoint that does not fit; or other workers, which draw from the same
        // cursor, have had the turn that would.
        return lot(cluster, tier, tried, &fitness, &random)
    }

    /// Two draws without regard to fitness, then the less busy of those that fit: the classic power of two choices.
    /// Where weights differ, a draw falls on an endpoint as often as its weight says, and busy is relative to it.
    private static func leastRequest(
        _ cluster: Cluster, _ tier: Cluster.Tier, _ tried: TriedEndpoints, _ fitness: inout Fitness,
        _ random: inout SplitMix64
    ) -> Int {
        let turns = tier.turns
        let firstTurn = random.below(turns)
        var secondTurn = random.below(max(turns - 1, 1))
        if secondTurn >= firstTurn { secondTurn = (secondTurn + 1) % turns }
        let first = tier.index(at: firstTurn)
        let second = tier.index(at: secondTurn)
        let firstFits = fitness.takes(cluster.endpoints[first], first, tried)
        let secondFits = fitness.takes(cluster.endpoints[second], second, tried)
        switch (firstFits, secondFits) {
        case (true, true): return isBusier(first, than: second, cluster, tier) ? second : first
        case (true, false): return first
        case (false, true): return second
        case (false, false): return lot(cluster, tier, tried, &fitness, &random)
        }
    }

    private static func isBusier(_ first: Int, than second: Int, _ cluster: Cluster, _ tier: Cluster.Tier) -> Bool {
        let firstActive = cluster.endpoints[first].activeStreams.load(ordering: .relaxed)
        let secondActive = cluster.endpoints[second].activeStreams.load(ordering: .relaxed)
        if tier.rotation.isEmpty { return firstActive > secondActive }
        // Cross-multiplied: a / wa > b / wb. Equals keep the first draw, which follows the weights.
        return firstActive * cluster.traits[second].weight > secondActive * cluster.traits[first].weight
    }

    /// One of those that fit, by lot and weight, in one pass. There is one.
    private static func lot(
        _ cluster: Cluster, _ tier: Cluster.Tier, _ tried: TriedEndpoints, _ fitness: inout Fitness,
        _ random: inout SplitMix64
    ) -> Int {
        var total = 0
        var found = tier.members.lowerBound
        for index in tier.members where fitness.takes(cluster.endpoints[index], index, tried) {
            let weight = max(cluster.traits[index].weight, 1)
            total += weight
            if random.below(total) < weight { found = index }
        }
        return found
    }

    /// Of endpoints that cannot be reached and were not tried: one whose pause is over if there is one, in turn.
    private static func unreachable(_ cluster: Cluster, _ tried: TriedEndpoints, _ now: Int64) -> Int? {
        let start = cluster.state.roundRobinCursor.wrappingAdd(1, ordering: .relaxed).oldValue
        var pausing: Int?
        for tier in cluster.tiers {
            let count = tier.members.count
            for step in 0..<count {
                let offset = Int(UInt(bitPattern: start &+ step) % UInt(count))
                let index = tier.members.lowerBound + offset
                let endpoint = cluster.endpoints[index]
                if tried.contains(endpoint) { continue }
                if !endpoint.isCoolingDown(now: now) { return index }
                pausing = pausing ?? index
            }
        }
        return pausing
    }
}

/// The endpoints that an exchange has been on. Empty in nearly every exchange, and then it costs nothing.
package struct TriedEndpoints {
    private var endpoints: [Endpoint] = []

    package init() {}

    package var isEmpty: Bool { endpoints.isEmpty }
    package var count: Int { endpoints.count }

    package func contains(_ endpoint: Endpoint) -> Bool {
        endpoints.contains { $0 === endpoint }
    }

    package mutating func insert(_ endpoint: Endpoint) {
        endpoints.append(endpoint)
    }

    package mutating func removeAll() {
        if !endpoints.isEmpty { endpoints.removeAll(keepingCapacity: true) }
    }
}
