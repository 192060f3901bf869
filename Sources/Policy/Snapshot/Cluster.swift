package import Synchronization

/// A named group of endpoints as of one snapshot. Immutable; a change of membership makes a new value that shares the
/// same ``ClusterState`` and the same ``Endpoint`` objects for addresses that stay.
package final class Cluster: Sendable {
    package let name: String
    package let settings: ClusterSettings
    /// The members in a stable order (by priority, then by address), so that the round-robin cursor means the same for
    /// every worker.
    package let endpoints: [Endpoint]
    /// Parallel to ``endpoints``.
    package let traits: [EndpointTraits]
    /// The endpoints by priority, the preferred ones first. One tier in nearly every cluster.
    package let tiers: [Tier]
    /// Whether there is one tier at most and all weights are equal.
    package let isPlain: Bool
    /// What discovery last said; becomes part of the message when there is no endpoint.
    package let resolution: Resolution
    /// What outlives the snapshot: cursor, identity, the door back to discovery.
    package let state: ClusterState

    /// - Parameters:
    ///   - endpoints: in their stable order within a priority.
    ///   - traits: parallel to the endpoints; nil when all are alike.
    package init(
        name: String, settings: ClusterSettings, endpoints: [Endpoint], traits: [EndpointTraits]? = nil,
        resolution: Resolution, state: ClusterState
    ) {
        self.name = name
        self.settings = settings
        self.resolution = resolution
        self.state = state
        guard let traits, traits.count == endpoints.count else {
            self.endpoints = endpoints
            self.traits = Array(repeating: EndpointTraits(), count: endpoints.count)
            tiers = endpoints.isEmpty ? [] : [Tier(members: endpoints.indices, weights: nil)]
            isPlain = true
            return
        }
        // A stable sort: equal priorities keep the given order.
        let order = traits.indices.sorted { (traits[$0].priority, $0) < (traits[$1].priority, $1) }
        self.endpoints = order.map { endpoints[$0] }
        let sorted = order.map { traits[$0] }
        self.traits = sorted
        var tiers: [Tier] = []
        var start = 0
        for end in sorted.indices.dropFirst() + [sorted.count] where start < sorted.count {
            if end < sorted.count, sorted[end].priority == sorted[start].priority { continue }
            tiers.append(Tier(members: start..<end, weights: sorted[start..<end].map(\.weight)))
            start = end
        }
        self.tiers = tiers
        isPlain = tiers.count <= 1 && tiers.allSatisfy(\.rotation.isEmpty)
    }

    /// What discovery knows about a cluster's name.
    package enum Resolution: Sendable, Equatable {
        /// No answer yet.
        case pending
        /// The endpoints are those of the last good answer.
        case resolved
        /// The last lookup failed; the endpoints (if any) are those of the last good answer. The text says what and
        /// where, for example `NXDOMAIN for game-server.local from 127.0.0.1:5353`.
        case failed(String)
    }

    /// The endpoints of one priority.
    package struct Tier: Sendable {
        /// Indices into ``Cluster/endpoints``.
        package let members: Range<Int>
        /// The order of turns where weights differ; empty where all are alike and the order is that of ``members``.
        package let rotation: [Int32]

        init(members: Range<Int>, weights: [Int]?) {
            self.members = members
            if let weights, let first = weights.first, weights.contains(where: { $0 != first }) {
                rotation = WeightedRotation.turns(weights: weights).map { Int32(members.lowerBound + $0) }
            } else {
                rotation = []
            }
        }

        /// How many turns the cursor takes until it begins again.
        package var turns: Int { rotation.isEmpty ? members.count : rotation.count }

        /// The endpoint of a turn.
        /// - Parameter cursor: any number.
        package func index(at cursor: Int) -> Int {
            let turn = Int(UInt(bitPattern: cursor) % UInt(turns))
            return rotation.isEmpty ? members.lowerBound + turn : Int(rotation[turn])
        }
    }
}

/// The part of a cluster that is shared by all workers and outlives every snapshot.
package final class ClusterState: Sendable {
    /// Position in the workers' tables of counters and pools; unique for the process's life, never reused.
    package let id: Int
    /// One cursor for all workers: n streams over k endpoints differ by at most one.
    package let roundRobinCursor = Atomic<Int>(0)
    /// Exchanges in flight, retries and hedges that run, and connections that are open or being opened; counted only
    /// where ``CircuitBreakerSettings`` limits them.
    package let activeRequests = Atomic<Int>(0)
    package let activeRetries = Atomic<Int>(0)
    package let openConnections = Atomic<Int>(0)
    /// Nanoseconds of the monotonic clock when the endpoints are compared next; whoever moves it does it.
    package let nextSweep = Atomic<Int64>(0)
    /// Held while somebody ejects endpoints, so that the maximum holds for all workers together. Nobody waits for it.
    package let ejectionGate = Atomic<Bool>(false)
    /// Asks discovery to look again now (nobody is left to send to). Cheap, callable from any thread, may be called
    /// often.
    package let requestRefresh: @Sendable () -> Void
    /// Tells discovery that an endpoint cannot be reached, and why: `connection refused`. Cheap, callable from any
    /// thread.
    package let reportUnreachable: @Sendable (Endpoint, _ reason: String) -> Void

    package init(
        id: Int, requestRefresh: @escaping @Sendable () -> Void = {},
        reportUnreachable: @escaping @Sendable (Endpoint, _ reason: String) -> Void = { _, _ in }
    ) {
        self.id = id
        self.requestRefresh = requestRefresh
        self.reportUnreachable = reportUnreachable
    }
}
