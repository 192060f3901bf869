import Synchronization

/// `round_robin` and `random`: whose turn it is.
extension EndpointSearch {
    /// Draws until an endpoint fits; after so many a member is drawn by lot instead. More would make a pick long where
    /// a heavy endpoint is dead and most turns are its.
    private static let drawsMax = 64

    /// An endpoint that does not fit loses its turn, and the others keep equal shares.
    mutating func roundRobin(_ group: EndpointGroup, isFar: Bool) -> Int {
        for _ in 0..<min(group.turns.count, max(group.members.count, Self.drawsMax)) {
            let index = group.index(at: nextTurn(isFar: isFar))
            if takes(index), trial != nil || !isHeldBack(index, in: group) { return index }
        }
        // Most turns are those of a heavy endpoint that does not fit; or other workers, which draw from the same
        // cursor, have had the turn that would.
        return lot(group)
    }

    func nextTurn(isFar: Bool) -> Int {
        guard let cursors = set.cursors else {
            if isFar { return cluster.state.spillCursor.wrappingAdd(1, ordering: .relaxed).oldValue }
            return cluster.state.roundRobinCursor.wrappingAdd(1, ordering: .relaxed).oldValue
        }
        if isFar { return cursors.far.wrappingAdd(1, ordering: .relaxed).oldValue }
        return cursors.near.wrappingAdd(1, ordering: .relaxed).oldValue
    }

    /// Any that fits, by weight.
    mutating func anyone(of group: EndpointGroup) -> Int {
        for _ in 0..<8 {
            let index = group.index(at: random.below(group.turns.count))
            if takes(index), trial != nil || !isHeldBack(index, in: group) { return index }
        }
        return lot(group)
    }

    /// One of those that fit, by lot and weight, in one pass. There is one.
    mutating func lot(_ group: EndpointGroup) -> Int {
        var total = 0
        var found = Int(group.members[0])
        for member in group.members where takes(Int(member)) {
            if let trial { return trial }
            var weight = max(cluster.traits[Int(member)].weight, 1)
            if rules.slowStart > 0 { weight *= Int(1_000 * warmth(of: Int(member))) }
            total += weight
            if random.below(total) < weight { found = Int(member) }
        }
        return found
    }
}
