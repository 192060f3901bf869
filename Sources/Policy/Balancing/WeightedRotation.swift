/// The order of turns of a weighted round robin: a list that a cursor walks through, so that a pick is one look-up
/// however many endpoints there are.
enum WeightedRotation {
    /// The longest list; weights that would need a longer one are scaled down, each to 1 at least.
    static let maximumTurns = 16_384

    /// Indices of the weights, each as often as its weight says (divided by their greatest common divisor), and spread
    /// as evenly as can be.
    ///
    /// `[4, 1, 1]` gives `0 0 1 2 0 0`.
    static func turns(weights: [Int]) -> [Int] {
        let shares = shares(of: weights)
        // Each index's k-th turn is due at (k + ½) / share of the round; sorting the due times spreads the turns
        // evenly and needs no pass over all weights per turn.
        var due: [(time: Double, index: Int)] = []
        due.reserveCapacity(shares.reduce(0, +))
        for (index, share) in shares.enumerated() {
            for turn in 0..<share { due.append(((Double(turn) + 0.5) / Double(share), index)) }
        }
        due.sort { ($0.time, $0.index) < ($1.time, $1.index) }
        return due.map(\.index)
    }

    private static func shares(of weights: [Int]) -> [Int] {
        let weights = weights.map { max($0, 1) }
        let divisor = weights.reduce(0) { gcd($0, $1) }
        let shares = weights.map { $0 / max(divisor, 1) }
        let total = shares.reduce(0.0) { $0 + Double($1) }
        guard total > Double(maximumTurns) else { return shares }
        let scale = Double(maximumTurns) / total
        return shares.map { max(Int((Double($0) * scale).rounded()), 1) }
    }

    private static func gcd(_ first: Int, _ second: Int) -> Int {
        var (a, b) = (first, second)
        while b != 0 { (a, b) = (b, a % b) }
        return a
    }
}
