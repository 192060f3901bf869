/// Streams stay in our zone as long as it can carry them.
///
/// With s the share of our zone's endpoints that are usable (by weight) and b the setting `spillBelow`: where s ≥ b all
/// streams stay, below it the share s / b does, and with s = 0 none. The endpoints that are left at home then carry no
/// more than 1 / b of what they would if all were well.
///
/// To count the usable ones in every pick would cost more the larger the zone is. So a pick draws a witness first, by
/// lot, or for a key its endpoint. (Not by turn: turns that follow each other do not fall like lots.) Where it fits the
/// stream stays. Where it does not (that is the share 1 − s of the picks) the zone is counted, and the stream leaves
/// with probability (1 − s/b) / (1 − s). The product is what leaves: 1 − s/b.
extension EndpointSearch {
    /// One of our zone, where somebody fits, or of the others if the stream leaves.
    mutating func drawNear(_ near: EndpointGroup, _ far: EndpointGroup) -> Int {
        let owner = key.flatMap { near.table.owner(of: $0, attempt: 0) }
        let witness = owner ?? near.index(at: random.below(near.turns.count))
        if takes(witness) { return trial ?? owner ?? draw(from: near) }
        if leaves(near), finds(in: far) { return trial ?? draw(from: far, isFar: true) }
        return draw(from: near)
    }

    private mutating func leaves(_ near: EndpointGroup) -> Bool {
        let share = usableShare(of: near)
        guard share < min(rules.spillBelow, 1) else { return false }
        // A key leaves or stays for as long as the share is the same.
        let lot = key.map { Double(StableHash.mix($0, 1) >> 11) * 0x1p-53 } ?? random.unit()
        return lot < (1 - share / rules.spillBelow) / (1 - share)
    }
}
