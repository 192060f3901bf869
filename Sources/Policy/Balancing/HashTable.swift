/// Which endpoint a key belongs to. Made once per snapshot, beside the path of a request.
enum HashTable: Sendable {
    case none
    case ring(HashRing)
    case maglev(MaglevTable)

    /// - Parameters:
    ///   - turns: who is in it, as often as the weights say.
    ///   - names: of the members, by index; what they are placed by.
    init(_ policy: BalancePolicy, turns: [Int32], members: [Int32], names: (Int32) -> String) {
        switch policy {
        case .ringHash: self = .ring(HashRing(turns: turns, members: members, names: names))
        case .maglev: self = .maglev(MaglevTable(turns: turns, members: members, names: names))
        case .roundRobin, .leastRequest, .peakEWMA, .random: self = .none
        }
    }

    /// The endpoint that a key belongs to, and those that stand in for it.
    /// - Parameter attempt: 0 for the endpoint itself, then the stand-ins in order; they may repeat.
    /// - Returns: nil without a table.
    func owner(of key: UInt64, attempt: Int) -> Int? {
        switch self {
        case .none: nil
        case .ring(let ring): ring.owner(of: key, attempt: attempt)
        case .maglev(let table): table.owner(of: key, attempt: attempt)
        }
    }
}

/// Points on a circle, many of each endpoint; a key belongs to the next point (ketama-like). Where an endpoint leaves,
/// its keys go to the neighbours of its points and no other key moves.
struct HashRing: Sendable {
    /// Of an endpoint of weight one, as long as there are not more than `maximumPoints` in all. Shares of keys then
    /// differ by about a tenth (1/√128).
    static let pointsPerTurn = 128
    /// 1.5 MB and about 30 ms to sort, once per snapshot.
    static let maximumPoints = 131_072

    private let positions: [UInt64]
    private let owners: [Int32]

    init(turns: [Int32], members: [Int32], names: (Int32) -> String) {
        let perTurn = max(min(Self.pointsPerTurn, Self.maximumPoints / max(turns.count, 1)), 1)
        var shares: [Int32: Int] = [:]
        for member in turns { shares[member, default: 0] += 1 }
        var points: [(position: UInt64, owner: Int32)] = []
        points.reserveCapacity(turns.count * perTurn)
        for member in members {
            let seed = StableHash.hash(names(member).utf8)
            for point in 0..<(shares[member] ?? 1) * perTurn {
                points.append((StableHash.mix(seed, point), member))
            }
        }
        points.sort { ($0.position, $0.owner) < ($1.position, $1.owner) }
        positions = points.map(\.position)
        owners = points.map(\.owner)
    }

    func owner(of key: UInt64, attempt: Int) -> Int {
        let key = StableHash.mix(key)
        var (low, high) = (0, positions.count)
        while low < high {
            let middle = (low + high) / 2
            if positions[middle] < key { low = middle + 1 } else { high = middle }
        }
        return Int(owners[(low + attempt) % owners.count])
    }
}

/// A table in which each endpoint claims slots in an order of its own, turn by turn (Maglev, NSDI 2016). It splits keys
/// more evenly than a ring and needs one look-up; where an endpoint leaves, a few keys of others move too.
struct MaglevTable: Sendable {
    /// Primes. The small one does for fifty turns with shares that differ by a hundredth; the large one takes about
    /// 10 ms to fill, whatever the number of endpoints, and 256 KB.
    static let smallSize = 5_003
    static let largeSize = 65_537

    private let slots: [Int32]

    init(turns: [Int32], members: [Int32], names: (Int32) -> String) {
        let size = turns.count * 100 <= Self.smallSize ? Self.smallSize : Self.largeSize
        // The slots that an endpoint asks for: offset, offset + skip, … A prime size makes that all of them.
        var next: [Int32: (slot: Int, skip: Int)] = [:]
        for member in members {
            let seed = StableHash.hash(names(member).utf8)
            next[member] = (
                slot: Int(StableHash.mix(seed, 1) % UInt64(size)),
                skip: Int(StableHash.mix(seed, 2) % UInt64(size - 1)) + 1
            )
        }
        // By turn, so that the loop below follows no hash.
        var places = turns.map { next[$0] ?? (slot: 0, skip: 1) }
        var first: [Int32: Int] = [:]
        let placeOfTurn = turns.indices.map { turn in
            if let place = first[turns[turn]] { return place }
            first[turns[turn]] = turn
            return turn
        }
        var slots = [Int32](repeating: -1, count: size)
        var turn = 0
        for _ in 0..<size {
            let place = placeOfTurn[turn]
            while slots[places[place].slot] >= 0 {
                places[place].slot = (places[place].slot + places[place].skip) % size
            }
            slots[places[place].slot] = turns[turn]
            turn = turn + 1 == turns.count ? 0 : turn + 1
        }
        self.slots = slots
    }

    func owner(of key: UInt64, attempt: Int) -> Int {
        Int(slots[Int(StableHash.mix(key, attempt) % UInt64(slots.count))])
    }
}
