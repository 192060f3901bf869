/// `ring_hash` and `maglev`: the same key goes to the same endpoint, in every worker and every process.
extension EndpointSearch {
    /// Stand-ins that are asked for; after so many a member is drawn by lot. The chance that none of them fits is one
    /// in 850 where nine of ten endpoints do not.
    private static let standInsMax = 64

    /// An endpoint that does not fit lends its keys to the stand-ins of each key; no other key moves.
    mutating func keyed(_ group: EndpointGroup) -> Int {
        guard let key else { return anyone(of: group) }
        for attempt in 0..<Self.standInsMax {
            guard let index = group.table.owner(of: key, attempt: attempt) else { break }
            if takes(index) { return index }
        }
        // A lot that falls the same way each time the same endpoints fit.
        let workers = random
        random = SplitMix64(seed: StableHash.mix(key))
        defer { random = workers }
        return lot(group)
    }
}
