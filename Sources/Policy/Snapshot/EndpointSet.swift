import Synchronization

/// The endpoints that a stream may go to: all of a cluster, or those with certain attributes. Immutable; balancers draw
/// from it and make nothing.
package final class EndpointSet: Sendable {
    /// By priority, the preferred ones first. One in nearly every cluster.
    package let tiers: [EndpointTier]
    /// Whose turn it is; nil for the cluster's own cursors.
    let cursors: RotationCursors?

    /// - Parameters:
    ///   - members: indices into the endpoints, by priority.
    ///   - cursors: nil for the cluster's own.
    init(
        members: [Int], endpoints: [Endpoint], traits: [EndpointTraits], settings: ClusterSettings,
        cursors: RotationCursors? = nil
    ) {
        self.cursors = cursors
        var tiers: [EndpointTier] = []
        var start = 0
        for end in members.indices.dropFirst() + [members.count] where start < members.count {
            if end < members.count, traits[members[end]].priority == traits[members[start]].priority { continue }
            tiers.append(
                EndpointTier(members: Array(members[start..<end]), endpoints: endpoints, traits: traits, settings))
            start = end
        }
        self.tiers = tiers
    }
}

/// The endpoints of one priority.
package final class EndpointTier: Sendable {
    /// Those that are preferred: of our zone, or all where there is no choice.
    package let near: EndpointGroup
    /// The other zones'; nil where there is no choice.
    package let far: EndpointGroup?

    init(members: [Int], endpoints: [Endpoint], traits: [EndpointTraits], _ settings: ClusterSettings) {
        func group(_ members: [Int]) -> EndpointGroup {
            EndpointGroup(members: members, endpoints: endpoints, traits: traits, settings.balance)
        }
        if let zone = settings.zone {
            let near = members.filter { traits[$0].attributes[zone.attribute] == zone.own }
            if !near.isEmpty, near.count < members.count {
                self.near = group(near)
                far = group(members.filter { traits[$0].attributes[zone.attribute] != zone.own })
                return
            }
        }
        near = group(members)
        far = nil
    }

    var count: Int { near.members.count + (far?.members.count ?? 0) }
}

/// Endpoints among which one draw decides.
package final class EndpointGroup: Sendable {
    /// Indices into ``Cluster/endpoints``; never empty.
    package let members: [Int32]
    /// The order of turns: each member as often as its weight says. The members themselves where all weigh the same.
    let turns: [Int32]
    let isWeighted: Bool
    /// Made where the policy needs one.
    let table: HashTable

    init(members: [Int], endpoints: [Endpoint], traits: [EndpointTraits], _ policy: BalancePolicy) {
        let indices = members.map { Int32($0) }
        let weights = members.map { traits[$0].weight }
        isWeighted = weights.contains { $0 != weights.first }
        let turns = isWeighted ? WeightedRotation.turns(weights: weights).map { indices[$0] } : indices
        self.members = indices
        self.turns = turns
        table = HashTable(policy, turns: turns, members: indices) { endpoints[Int($0)].name }
    }

    /// The endpoint of a turn.
    /// - Parameter cursor: any number.
    func index(at cursor: Int) -> Int {
        Int(turns[Int(UInt(bitPattern: cursor) % UInt(turns.count))])
    }
}

/// Whose turn it is in a set of endpoints, for all workers.
package final class RotationCursors: Sendable {
    let near = Atomic<Int>(0)
    /// For streams that leave our zone: those that stay keep their exact order.
    let far = Atomic<Int>(0)

    init() {}
}

/// Endpoints with certain attributes, as a route names them.
package struct EndpointSubset: Sendable {
    /// What a member has, at least.
    package let attributes: [String: String]
    package let set: EndpointSet
}

extension EndpointTraits {
    /// Whether the endpoint has all these attributes.
    package func matches(_ subset: [String: String]) -> Bool {
        subset.allSatisfy { attributes[$0.key] == $0.value }
    }
}
