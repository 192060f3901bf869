/// What is remembered of streams that are gone, so that frames on them get the answer of RFC 9113, 5.1 without the 224
/// bytes per stream that the library would keep for it.
struct ClosedStreams {
    /// How a stream ended, as far as frames that still arrive on it are concerned.
    enum Ending: Equatable {
        /// The peer finished or reset it: more frames from it break the rules.
        case finishedByPeer
        /// We reset it while the peer could still send: frames in flight are honest.
        case resetByUs
        /// The id was skipped by a higher one: it was closed without ever being opened (5.1.1).
        case skipped
        /// Too long ago to know.
        case forgotten
    }

    private var ring: [(id: Int32, ending: Ending)] = []
    private var next = 0
    private var skippedRanges: [ClosedRange<Int32>] = []

    /// Streams remembered: as many as can be open at a time, so that what was in flight on them when we reset them is
    /// known.
    private let ringSize: Int
    static let skippedRangesMax = 64

    init(streams: Int) {
        ringSize = min(max(streams, 64), 1_024)
    }

    mutating func insert(_ id: Int32, _ ending: Ending) {
        if ring.count < ringSize {
            ring.append((id, ending))
        } else {
            ring[next] = (id, ending)
            next = (next + 1) % ringSize
        }
    }

    /// Notes that ids between two that were opened were never used.
    mutating func noteOpened(_ id: Int32, after previous: Int32) {
        guard id - previous > 2 else { return }
        if skippedRanges.count == Self.skippedRangesMax { skippedRanges.removeFirst() }
        skippedRanges.append((previous + 1)...(id - 1))
    }

    /// How the stream with this id, which is not open, ended.
    func ending(of id: Int32) -> Ending {
        if let entry = ring.last(where: { $0.id == id }) { return entry.ending }
        return skippedRanges.contains { $0.contains(id) } ? .skipped : .forgotten
    }
}
