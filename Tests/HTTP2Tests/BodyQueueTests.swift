import NIOCore
import TestSupport
import Testing

@testable import HTTP2

@Suite("Body queue")
struct BodyQueueTests {
    private func read(_ queue: BodyQueue, _ count: Int) -> [UInt8] {
        var output = ByteBuffer()
        queue.read(count, into: &output)
        return Array(output.readableBytesView)
    }

    /// Adds bytes that lie somewhere inside a read buffer, as a session does.
    private func receive(_ bytes: [UInt8], into queue: BodyQueue) {
        var buffer = ByteBuffer(bytes: [1, 2, 3] + bytes + [4, 5])
        buffer.moveReaderIndex(forwardBy: 2)
        buffer.withUnsafeReadableBytes { whole in
            queue.append(UnsafeRawBufferPointer(rebasing: whole[1..<1 + bytes.count]), in: buffer)
        }
    }

    @Test("small and large pieces come out in order, in portions of any size", arguments: [1, 7, 2_048, 100_000])
    func order(portion: Int) {
        let queue = BodyQueue()
        let bytes = pattern(40_000)
        var sent = 0
        for size in [1, 2_047, 2_048, 2_049, 5, 0, 16_384, 1, 1] {
            receive(Array(bytes[sent..<sent + size]), into: queue)
            sent += size
        }
        #expect(queue.pending == sent)
        #expect(queue.held == sent)
        var all: [UInt8] = []
        while queue.pending > 0 { all += read(queue, min(portion, queue.pending)) }
        #expect(all == Array(bytes[..<sent]))
        #expect(queue.held == 0)
    }

    @Test("small pieces are gathered")
    func gathering() {
        let queue = BodyQueue()
        for byte in 0..<UInt8(200) { receive([byte], into: queue) }
        #expect(read(queue, 200) == Array(0..<200))
    }

    @Test("reading catches up and goes on as more comes")
    func interleaved() {
        let queue = BodyQueue()
        for round in 0..<300 {
            receive(pattern(round), into: queue)
            #expect(read(queue, round) == pattern(round))
            #expect(queue.pending == 0 && queue.held == 0)
        }
    }

    @Test("what is read stays as long as a replay is possible")
    func rewind() {
        let queue = BodyQueue()
        queue.holdForReplay(limit: 10_000)
        receive(pattern(3_000), into: queue)
        receive([9], into: queue)
        #expect(read(queue, 3_001) == pattern(3_000) + [9])
        #expect(queue.pending == 0 && queue.held == 3_001)
        queue.rewind()
        #expect(queue.pending == 3_001)
        #expect(read(queue, 10) == Array(pattern(3_000)[..<10]))
        receive([8], into: queue)
        queue.rewind()
        #expect(read(queue, 3_002) == pattern(3_000) + [9, 8])
    }

    @Test("a commit lets go of what was read and keeps what waits")
    func commit() {
        let queue = BodyQueue()
        queue.holdForReplay(limit: 100_000)
        receive(pattern(5_000), into: queue)
        _ = read(queue, 4_000)
        queue.commit()
        #expect(!queue.isReplayable)
        #expect(queue.held == 1_000 && queue.pending == 1_000)
        #expect(read(queue, 1_000) == Array(pattern(5_000)[4_000...]))
        queue.commit()
        #expect(queue.held == 0)
    }

    @Test("a body over the replay limit commits by itself", arguments: [(10_000, true), (10_001, false)])
    func overflow(size: Int, isReplayable: Bool) {
        let queue = BodyQueue()
        queue.holdForReplay(limit: 10_000)
        receive(pattern(6_000), into: queue)
        #expect(read(queue, 6_000) == pattern(6_000))
        receive(pattern(size - 6_000), into: queue)
        #expect(queue.isReplayable == isReplayable)
        #expect(queue.held == (isReplayable ? size : size - 6_000))
        #expect(read(queue, size - 6_000) == pattern(size - 6_000))
    }

    @Test("a body can start over while all of it is held, or nothing of it was read")
    func canStartOver() {
        let queue = BodyQueue()
        receive(pattern(100), into: queue)
        #expect(!queue.isReplayable && queue.canStartOver)
        queue.rewind()
        #expect(queue.pending == 100)
        _ = read(queue, 100)
        #expect(!queue.canStartOver)
        receive([1], into: queue)
        #expect(!queue.canStartOver)
        #expect(queue.reset() == nil)
        #expect(queue.canStartOver)
    }

    @Test("the end and its trailers are told, and a reset hands the trailers back")
    func finish() {
        let queue = BodyQueue()
        #expect(!queue.isFinished)
        let trailers = HeaderBlock.make([("grpc-status", "0")])
        queue.holdForReplay(limit: 10)
        receive([1, 2], into: queue)
        queue.finish(trailers: trailers)
        #expect(queue.isFinished)
        #expect(queue.trailers === trailers)
        #expect(queue.reset() === trailers)
        #expect(!queue.isFinished && !queue.isReplayable && queue.pending == 0 && queue.held == 0)
        #expect(queue.reset() == nil)
        receive([3], into: queue)
        #expect(Array(queue.readAll().readableBytesView) == [3])
    }

    @Test("any interleaving does what a plain array does", arguments: 1...60)
    func model(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let queue = BodyQueue()
        for _ in 0..<4 {
            // What the queue should be: all bytes, how many were read, and from where on they are held.
            var bytes: [UInt8] = []
            var readCount = 0
            var isReplayable = Bool.random(using: &random)
            let limit = Int.random(in: 0...30_000, using: &random)
            if isReplayable { queue.holdForReplay(limit: limit) }
            var heldFrom = 0
            for _ in 0..<Int.random(in: 1...150, using: &random) {
                switch Int.random(in: 0..<10, using: &random) {
                case 0..<4:
                    let size = Int.random(in: 0..<4, using: &random) == 0 ? 6_000 : 200
                    let more = (0..<Int.random(in: 0...size, using: &random)).map { _ in
                        UInt8.random(in: 0...255, using: &random)
                    }
                    if Bool.random(using: &random) {
                        receive(more, into: queue)
                    } else {
                        queue.append(ByteBuffer(bytes: more))
                    }
                    bytes += more
                    if isReplayable, bytes.count > limit, !more.isEmpty { isReplayable = false }
                case 4..<8:
                    let count = Int.random(in: 0...bytes.count - readCount, using: &random)
                    #expect(read(queue, count) == Array(bytes[readCount..<readCount + count]))
                    readCount += count
                case 8:
                    if isReplayable || readCount == 0 {
                        queue.rewind()
                        readCount = 0
                    }
                default:
                    if Int.random(in: 0..<8, using: &random) == 0 {
                        queue.commit()
                        isReplayable = false
                    }
                }
                heldFrom = isReplayable ? 0 : readCount
                #expect(queue.isReplayable == isReplayable)
                #expect(queue.canStartOver == (isReplayable || readCount == 0))
                #expect(queue.pending == bytes.count - readCount)
                #expect(queue.held == bytes.count - heldFrom)
            }
            #expect(queue.reset() == nil)
        }
    }
}
