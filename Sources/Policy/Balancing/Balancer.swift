import Synchronization

/// Picks the endpoint of a stream.
///
/// Endpoints in the pause after a connect failure are passed over while another one is left; when all pause, all
/// count (the set is never emptied by us). Endpoints that the exchange has tried are passed over; when all were tried
/// the pick is nil.
package enum Balancer {
    /// - Parameters:
    ///   - cluster: the members and the shared cursor.
    ///   - tried: endpoints that this exchange has been on already.
    ///   - now: nanoseconds of the monotonic clock.
    ///   - random: the worker's generator; used by `least_request`.
    /// - Returns: an index into ``Cluster/endpoints``, or nil when none is left.
    package static func pick(
        in cluster: Cluster, tried: TriedEndpoints, now: Int64, random: inout some RandomNumberGenerator
    ) -> Int? {
        let endpoints = cluster.endpoints
        if endpoints.isEmpty { return nil }
        if tried.isEmpty, endpoints.count == 1 { return 0 }
        switch cluster.settings.balance {
        case .roundRobin: return roundRobin(endpoints, cluster.state, tried, now)
        case .leastRequest: return leastRequest(endpoints, tried, now, &random)
        }
    }

    /// Draws from the cursor until an endpoint fits. An endpoint that does not fit loses its turn, and the others keep
    /// equal shares: taking the neighbour instead would give that neighbour twice its share.
    private static func roundRobin(
        _ endpoints: [Endpoint], _ state: ClusterState, _ tried: TriedEndpoints, _ now: Int64
    ) -> Int? {
        let count = endpoints.count
        for _ in 0..<count {
            let turn = state.roundRobinCursor.wrappingAdd(1, ordering: .relaxed).oldValue
            let index = Int(UInt(bitPattern: turn) % UInt(count))
            let endpoint = endpoints[index]
            if !endpoint.isCoolingDown(now: now), !tried.contains(endpoint) { return index }
        }
        // Other workers draw from the same cursor, so a full round here may have missed one: look at each of them.
        // One more turn is drawn for the case that all pause, and all count, in turn.
        let turn = state.roundRobinCursor.wrappingAdd(1, ordering: .relaxed).oldValue
        return firstUsable(endpoints, from: turn, tried, now)
    }

    /// Two draws without regard to fitness, then the less busy of those that fit: the classic power of two choices.
    private static func leastRequest(
        _ endpoints: [Endpoint], _ tried: TriedEndpoints, _ now: Int64, _ random: inout some RandomNumberGenerator
    ) -> Int? {
        let count = endpoints.count
        let first = Int.random(in: 0..<count, using: &random)
        var second = Int.random(in: 0..<max(count - 1, 1), using: &random)
        if second >= first { second = (second + 1) % count }
        let firstFits = !endpoints[first].isCoolingDown(now: now) && !tried.contains(endpoints[first])
        let secondFits = !endpoints[second].isCoolingDown(now: now) && !tried.contains(endpoints[second])
        switch (firstFits, secondFits) {
        case (true, true):
            let firstActive = endpoints[first].activeStreams.load(ordering: .relaxed)
            let secondActive = endpoints[second].activeStreams.load(ordering: .relaxed)
            return secondActive < firstActive ? second : first
        case (true, false): return first
        case (false, true): return second
        case (false, false): return firstUsable(endpoints, from: first, tried, now)
        }
    }

    /// The first endpoint from `start` on that was not tried: one that is not pausing if there is one.
    private static func firstUsable(
        _ endpoints: [Endpoint], from start: Int, _ tried: TriedEndpoints, _ now: Int64
    ) -> Int? {
        let count = endpoints.count
        var pausing: Int?
        for step in 0..<count {
            let index = Int(UInt(bitPattern: start &+ step) % UInt(count))
            let endpoint = endpoints[index]
            if tried.contains(endpoint) { continue }
            if !endpoint.isCoolingDown(now: now) { return index }
            pausing = pausing ?? index
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
