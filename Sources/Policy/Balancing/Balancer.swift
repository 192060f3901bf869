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
    }

    /// - Parameters:
    ///   - cluster: the members and the shared cursor.
    ///   - tried: endpoints that this exchange has been on already.
    ///   - now: nanoseconds of the monotonic clock.
    ///   - random: the worker's generator; used by `least_request`.
    /// - Returns: nil when no endpoint is left.
    package static func pick(
        in cluster: Cluster, tried: TriedEndpoints, now: Int64, random: inout SplitMix64
    ) -> Pick? {
        if cluster.endpoints.isEmpty { return nil }
        if tried.isEmpty, cluster.endpoints.count == 1 { return Pick(index: 0) }
        var search = Search(cluster: cluster, tried: tried, now: now)
        for tier in cluster.tiers {
            let found: Int?
            switch cluster.settings.balance {
            case .roundRobin: found = search.roundRobin(tier)
            case .leastRequest: found = search.leastRequest(tier, &random)
            }
            if let found { return Pick(index: found, probe: search.probe) }
        }
        // Nobody can be reached: whoever tries is the probe.
        guard let last = search.unreachable() else { return nil }
        return Pick(index: last)
    }

    /// One pick under way.
    private struct Search {
        let cluster: Cluster
        let tried: TriedEndpoints
        let now: Int64
        var probe: Int?

        /// Whether a stream may go there; notes the endpoint if it should be tried again instead.
        private mutating func takes(_ index: Int) -> Bool {
            let endpoint = cluster.endpoints[index]
            if endpoint.isUnreachable {
                if probe == nil, !endpoint.isCoolingDown(now: now) { probe = index }
                return false
            }
            return tried.isEmpty || !tried.contains(endpoint)
        }

        /// Draws from the cursor until an endpoint fits. An endpoint that does not fit loses its turn, and the others
        /// keep equal shares: taking the neighbour instead would give that neighbour twice its share.
        mutating func roundRobin(_ tier: Cluster.Tier) -> Int? {
            for _ in 0..<tier.turns {
                let index = tier.index(at: cluster.state.roundRobinCursor.wrappingAdd(1, ordering: .relaxed).oldValue)
                if takes(index) { return index }
            }
            // Other workers draw from the same cursor, so a full round here may have missed one: look at each of them.
            return tier.members.first { takes($0) }
        }

        /// Two draws without regard to fitness, then the less busy of those that fit: the classic power of two choices.
        /// Where weights differ, a draw falls on an endpoint as often as its weight says, and busy is relative to it.
        mutating func leastRequest(_ tier: Cluster.Tier, _ random: inout SplitMix64) -> Int? {
            let turns = tier.turns
            let firstTurn = random.below(turns)
            var secondTurn = random.below(max(turns - 1, 1))
            if secondTurn >= firstTurn { secondTurn = (secondTurn + 1) % turns }
            let first = tier.index(at: firstTurn)
            let second = tier.index(at: secondTurn)
            switch (takes(first), takes(second)) {
            case (true, true): return load(of: second, isBelow: first, tier) ? second : first
            case (true, false): return first
            case (false, true): return second
            case (false, false):
                // The first that fits from a random place on.
                let count = tier.members.count
                for step in 0..<count {
                    let index = tier.members.lowerBound + (first - tier.members.lowerBound + step) % count
                    if takes(index) { return index }
                }
                return nil
            }
        }

        private func load(of second: Int, isBelow first: Int, _ tier: Cluster.Tier) -> Bool {
            let firstActive = cluster.endpoints[first].activeStreams.load(ordering: .relaxed)
            let secondActive = cluster.endpoints[second].activeStreams.load(ordering: .relaxed)
            if tier.rotation.isEmpty { return secondActive < firstActive }
            // Cross-multiplied: a / wa < b / wb.
            return (secondActive + 1) * cluster.traits[first].weight < (firstActive + 1) * cluster.traits[second].weight
        }

        /// Of endpoints that cannot be reached and were not tried: one whose pause is over if there is one, in turn.
        func unreachable() -> Int? {
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
