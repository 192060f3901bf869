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
    /// All endpoints, arranged for balancing.
    package let everyone: EndpointSet
    /// Those that routes choose by attributes.
    package let subsets: [EndpointSubset]
    /// Whether a pick is the next turn and nothing else, as long as that endpoint is usable: round robin over one tier
    /// of equal weights, without limits, slow start or zones.
    let isPlain: Bool
    /// What of the settings is looked at in every pick.
    let rules: BalanceRules
    /// What discovery last said; becomes part of the message when there is no endpoint.
    package let resolution: Resolution
    /// What outlives the snapshot: cursor, identity, the door back to discovery.
    package let state: ClusterState

    /// The endpoints by priority, the preferred ones first.
    package var tiers: [EndpointTier] { everyone.tiers }

    /// - Parameters:
    ///   - endpoints: in their stable order within a priority.
    ///   - traits: parallel to the endpoints; nil when all are alike.
    ///   - subsets: attributes that routes choose by. A subset that is not among them works too, by looking at each
    ///     endpoint in turn, and shares the cluster's cursor.
    package init(
        name: String, settings: ClusterSettings, endpoints: [Endpoint], traits: [EndpointTraits]? = nil,
        subsets: [[String: String]] = [], resolution: Resolution, state: ClusterState
    ) {
        self.name = name
        self.settings = settings
        self.resolution = resolution
        self.state = state
        var members = endpoints
        var known = Array(repeating: EndpointTraits(), count: endpoints.count)
        if let traits, traits.count == endpoints.count {
            // A stable sort: equal priorities keep the given order.
            let order = traits.indices.sorted { (traits[$0].priority, $0) < (traits[$1].priority, $1) }
            members = order.map { endpoints[$0] }
            known = order.map { traits[$0] }
        }
        self.endpoints = members
        self.traits = known
        rules = BalanceRules(settings)
        everyone = EndpointSet(
            members: Array(members.indices), endpoints: members, traits: known, settings: settings)
        let cursors = state.keepCursors(of: Set(subsets))
        self.subsets = cursors.keys.map { attributes in
            EndpointSubset(
                attributes: attributes,
                set: EndpointSet(
                    members: known.indices.filter { known[$0].matches(attributes) }, endpoints: members,
                    traits: known, settings: settings, cursors: cursors[attributes] ?? RotationCursors()))
        }
        isPlain =
            rules.isPlain && everyone.tiers.count <= 1
            && everyone.tiers.allSatisfy { !$0.near.isWeighted && $0.far == nil }
    }

    /// Whether so few of the preferred endpoints are usable that ejections and checks are not believed, and all of them
    /// take streams.
    package var isInPanic: Bool { tiers.first.map { panics($0) } ?? false }

    /// - Parameter filter: attributes that an endpoint must have to count.
    func panics(_ tier: EndpointTier, filter: [String: String] = [:]) -> Bool {
        guard rules.panicThreshold > 0 else { return false }
        var usable = 0
        var total = 0
        func count(_ group: EndpointGroup) {
            for member in group.members where filter.isEmpty || traits[Int(member)].matches(filter) {
                total += 1
                if endpoints[Int(member)].isUsable { usable += 1 }
            }
        }
        count(tier.near)
        if let far = tier.far { count(far) }
        return Double(usable) < rules.panicThreshold * Double(total)
    }

    /// The endpoints with these attributes; nil where no route was known to name them.
    func set(of subset: [String: String]) -> EndpointSet? {
        subsets.first { $0.attributes == subset }?.set
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
}

/// The part of a cluster that is shared by all workers and outlives every snapshot.
package final class ClusterState: Sendable {
    /// Position in the workers' tables of counters and pools; unique for the process's life, never reused.
    package let id: Int
    /// One cursor for all workers: n streams over k endpoints differ by at most one.
    package let roundRobinCursor = Atomic<Int>(0)
    /// The same for streams that leave our zone.
    let spillCursor = Atomic<Int>(0)
    /// One pair for each subset that routes name, so that each is split as evenly as the whole. Looked at where
    /// snapshots are made, never by a pick.
    private let subsetCursors = Mutex<[[String: String]: RotationCursors]>([:])
    /// Exchanges in flight, retries and hedges that run, and connections that are open or being opened; counted only
    /// where ``CircuitBreakerSettings`` limits them.
    package let activeRequests = Atomic<Int>(0)
    package let activeRetries = Atomic<Int>(0)
    package let openConnections = Atomic<Int>(0)
    /// Nanoseconds of the monotonic clock when the endpoints are compared next; whoever moves it does it.
    package let nextSweep = Atomic<Int64>(0)
    /// Whether the last sweep found the cluster in a panic: whoever changes it tells people.
    package let isPanicKnown = Atomic<Bool>(false)
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

    /// The cursors of subsets, those of an earlier snapshot where it had them; others are forgotten.
    func keepCursors(of subsets: Set<[String: String]>) -> [[String: String]: RotationCursors] {
        subsetCursors.withLock { cursors in
            cursors = Dictionary(uniqueKeysWithValues: subsets.map { ($0, cursors[$0] ?? RotationCursors()) })
            return cursors
        }
    }
}
