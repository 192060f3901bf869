import Synchronization

/// A new endpoint's share of the streams grows from a tenth to its full one in the time of `slow_start`.
///
/// Its time begins with the first pick that comes upon it usable. Where all are new (the process starts, a failover to
/// a tier that was at rest) nobody is held back: there is nobody else to give the stream to.
extension EndpointSearch {
    private static let firstShare = 0.1

    /// Whether the endpoint's turn goes to somebody else for once.
    mutating func isHeldBack(_ index: Int, in group: EndpointGroup) -> Bool {
        guard rules.slowStart > 0 else { return false }
        let warmth = warmth(of: index)
        return warmth < 1 && random.unit() >= warmth && group.members.contains { isWarm(Int($0)) }
    }

    /// The share (0...1) of its streams that the endpoint gets.
    func warmth(of index: Int) -> Double {
        let endpoint = cluster.endpoints[index]
        var startedAt = endpoint.startedAt.load(ordering: .relaxed)
        if startedAt == 0 {
            startedAt = max(now, 1)
            let (isFirst, other) = endpoint.startedAt.compareExchange(
                expected: 0, desired: startedAt, ordering: .relaxed)
            if !isFirst { startedAt = other }
        }
        let age = Double(max(now - startedAt, 0)) / Double(rules.slowStart)
        return min(Self.firstShare + (1 - Self.firstShare) * age, 1)
    }

    /// Whether the endpoint takes streams and has had its time.
    private func isWarm(_ index: Int) -> Bool {
        let startedAt = cluster.endpoints[index].startedAt.load(ordering: .relaxed)
        return startedAt != 0 && now - startedAt >= rules.slowStart && isUsable(index)
    }
}
