/// How an endpoint is chosen for a stream.
package enum BalancePolicy: String, Sendable, CaseIterable {
    /// Each endpoint in turn, by weight, one cursor for all workers.
    case roundRobin = "round_robin"
    /// The less busy of two endpoints drawn at random (power of two choices), by streams in flight over all workers.
    case leastRequest = "least_request"
    /// The one of two drawn at random whose latency times load is lower; a slow answer counts at once, quick ones by
    /// and by (peak-EWMA).
    case peakEWMA = "peak_ewma"
    /// Any, by weight.
    case random
    /// The same key goes to the same endpoint; a change of the set moves few keys (ketama-like ring).
    case ringHash = "ring_hash"
    /// The same with a table that splits keys more evenly and moves a few more (Maglev).
    case maglev
}

/// What `ring_hash` and `maglev` look at.
package enum HashKeySource: Sendable, Equatable {
    /// The value of a header, in lower case; requests without it go anywhere.
    case header(String)
    /// The caller's address.
    case peer
}

/// Endpoints near us are preferred as long as they can carry the load.
package struct ZonePreference: Sendable, Equatable {
    /// The attribute that says where an endpoint is.
    package var attribute = "zone"
    /// Where we are.
    package var own: String
    /// Below this share (0...1) of usable endpoints in our zone streams spill over to the others, in proportion.
    package var spillBelow = 0.7

    package init(own: String) { self.own = own }
}
