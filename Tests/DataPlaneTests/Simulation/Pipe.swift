import NIOCore

/// One direction of a link: bytes come out in order, late, and in pieces that nobody wrote.
final class Pipe {
    /// How the bytes are cut.
    enum Cut: CaseIterable {
        case whole, segments, ragged, tiny
    }

    /// What comes out at the other end.
    enum Arrival {
        /// Bytes, and when the last of them were written; nanoseconds.
        case bytes([(buffer: ByteBuffer, writtenAt: Int64)])
        /// FIN.
        case end
        /// RST.
        case reset
    }

    private let loop: SimulationLoop
    private let chance: Chance
    private let cut: Cut
    /// Nanoseconds.
    let latency: Int64
    /// What the kernels on the way hold.
    let capacity: Int

    private var chunks: [(buffer: ByteBuffer, writtenAt: Int64)] = []
    private var head = 0
    /// Bytes that were written and have not arrived.
    private(set) var queued = 0
    /// All bytes that were written, and that have arrived.
    private(set) var written = 0
    private(set) var delivered = 0
    private(set) var lastDeliveryAt: Int64
    private var isEnding = false
    private var isResetting = false
    private var isScheduled = false
    private(set) var isOver = false
    /// Positions whose arrival somebody waits for.
    private var marks: [(position: Int, body: () -> Void)] = []

    /// The reader reads nothing.
    var isStalled = false {
        didSet { schedule(first: false) }
    }
    /// Nothing arrives, and nobody hears of it.
    var isDark = false {
        didSet { schedule(first: false) }
    }

    var arrived: (Arrival) -> Void = { _ in }
    var drained: () -> Void = {}

    init(loop: SimulationLoop, chance: Chance) {
        self.loop = loop
        self.chance = chance
        cut = chance.hits(40) ? .whole : chance.pick(Cut.allCases)
        latency = chance.hits(10) ? chance.time(5, 25) : chance.time(0, 3)
        capacity = chance.pick([4_096, 16_384, 65_536, 262_144])
        lastDeliveryAt = loop.time
    }

    func write(_ buffer: ByteBuffer) {
        guard !isEnding, !isResetting, buffer.readableBytes > 0 else { return }
        chunks.append((buffer, loop.time))
        queued += buffer.readableBytes
        written += buffer.readableBytes
        schedule(first: true)
    }

    /// FIN behind what was written.
    func end() {
        isEnding = true
        schedule(first: true)
    }

    /// RST: what has not arrived is lost.
    func reset() {
        chunks.removeAll()
        head = 0
        queued = 0
        isResetting = true
        schedule(first: true)
    }

    /// Runs `body` when everything that was written so far has arrived.
    func whenArrived(_ body: @escaping () -> Void) {
        if delivered >= written { body() } else { marks.append((written, body)) }
    }

    private func schedule(first: Bool) {
        guard !isScheduled, !isOver, queued > 0 || isEnding || isResetting, !isDark, !isStalled || isResetting
        else { return }
        isScheduled = true
        loop.after(first ? latency : Int64(chance.below(4)) * 50_000) { [self] in
            isScheduled = false
            if !isDark { deliver() }
        }
    }

    private func deliver() {
        if isResetting {
            isOver = true
            arrived(.reset)
        } else if isStalled {
            return
        } else if queued > 0 {
            let pieces = take(size())
            lastDeliveryAt = loop.time
            arrived(.bytes(pieces))
            while let mark = marks.first, mark.position <= delivered {
                marks.removeFirst()
                mark.body()
            }
            drained()
            schedule(first: false)
        } else if isEnding {
            isOver = true
            arrived(.end)
        }
    }

    private func size() -> Int {
        switch cut {
        case .whole: 65_536
        case .segments: 1_448 * chance.range(1, 12)
        case .ragged: chance.hits(20) ? chance.range(1, 40) : chance.range(1, 12_000)
        case .tiny: delivered < 400 ? chance.range(1, 24) : chance.range(1, 16_000)
        }
    }

    private func take(_ limit: Int) -> [(buffer: ByteBuffer, writtenAt: Int64)] {
        var pieces: [(buffer: ByteBuffer, writtenAt: Int64)] = []
        var left = limit
        while left > 0, head < chunks.count {
            let count = min(left, chunks[head].buffer.readableBytes)
            guard let piece = chunks[head].buffer.readSlice(length: count) else { break }
            pieces.append((piece, chunks[head].writtenAt))
            left -= count
            queued -= count
            delivered += count
            if chunks[head].buffer.readableBytes == 0 { head += 1 }
        }
        if head == chunks.count {
            chunks.removeAll(keepingCapacity: true)
            head = 0
        }
        return pieces
    }

    /// Lets go of everybody.
    func close() {
        isOver = true
        chunks.removeAll()
        marks.removeAll()
        arrived = { _ in }
        drained = {}
    }
}
