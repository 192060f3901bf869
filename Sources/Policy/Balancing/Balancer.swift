import Synchronization

/// Picks the endpoint of a stream.
///
/// Endpoints that cannot be reached, are ejected or fail their checks are passed over while another one is left, in the
/// preferred tier first and then in the next. When there is none all count again (the set is never emptied by us):
/// first those that can be reached, then the others, of these first those whose pause is over. Endpoints that the
/// exchange has tried, and those at their limit of streams, are passed over; when no other is left the pick is nil.
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

    /// - Parameters:
    ///   - cluster: the members and the shared cursor.
    ///   - tried: endpoints that this exchange has been on already.
    ///   - key: what `ring_hash` and `maglev` go by (``hashKey(_:)``); nil goes anywhere.
    ///   - subset: attributes that the endpoint must have; quickest with the very value that ``Cluster`` was made with.
    ///   - now: nanoseconds of the monotonic clock.
    ///   - random: the worker's generator.
    /// - Returns: nil when no endpoint is left; ``whyNone(in:tried:subset:)`` says why.
    package static func pick(
        in cluster: Cluster, tried: TriedEndpoints, key: UInt64? = nil, subset: [String: String] = [:], now: Int64,
        random: inout SplitMix64
    ) -> Pick? {
        let count = cluster.endpoints.count
        if count == 0 { return nil }
        // Nearly every pick ends here: one tier, equal weights, and whose turn it is takes streams.
        var passedOver: Int?
        if cluster.isPlain, tried.isEmpty, subset.isEmpty {
            var index = 0
            if count > 1 {
                let turn = cluster.state.roundRobinCursor.wrappingAdd(1, ordering: .relaxed).oldValue
                index = Int(UInt(bitPattern: turn) % UInt(count))
            }
            if cluster.endpoints[index].isUsable { return Pick(index: index) }
            passedOver = index
        }
        return search(cluster, tried, key, subset, now, &random, passedOver)
    }

    /// The hash of a header's value or of an address, for ``pick(in:tried:key:subset:now:random:)``: the same in every
    /// process, so that proxies side by side agree.
    package static func hashKey(_ bytes: some Sequence<UInt8>) -> UInt64 {
        StableHash.hash(bytes)
    }

    /// - Parameter passedOver: an endpoint that is not usable, whose turn has been drawn already.
    @inline(never)
    private static func search(
        _ cluster: Cluster, _ tried: TriedEndpoints, _ key: UInt64?, _ subset: [String: String], _ now: Int64,
        _ random: inout SplitMix64, _ passedOver: Int?
    ) -> Pick? {
        let known = subset.isEmpty ? cluster.everyone : cluster.set(of: subset)
        var search = EndpointSearch(
            cluster: cluster, set: known ?? cluster.everyone, tried: tried, filter: known == nil ? subset : [:],
            key: key, now: now, random: random)
        defer { random = search.random }
        return search.run(passedOver: passedOver)
    }
}
