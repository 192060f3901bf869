import Testing

@testable import HTTP2

@Suite("Memory of closed streams")
struct ClosedStreamsTests {
    @Test(
        "as many are known as can be open at a time, sixty-four at least; older ones are forgotten",
        arguments: [
            (0, 64), (64, 64), (80, 80), (100_000, 1_024),
        ])
    func ring(streams: Int, known: Int) {
        var closed = ClosedStreams(streams: streams)
        let calls = Int32(known) + 36
        for call in 0..<calls { closed.insert(2 * call + 1, call % 2 == 0 ? .finishedByPeer : .resetByUs) }
        for call in 0..<calls {
            let ending: ClosedStreams.Ending = call % 2 == 0 ? .finishedByPeer : .resetByUs
            #expect(closed.ending(of: 2 * call + 1) == (call < 36 ? .forgotten : ending), "stream \(2 * call + 1)")
        }
    }

    @Test("ids that were jumped over are known as skipped; a step to the next one skips none")
    func skipped() {
        var closed = ClosedStreams(streams: 1)
        closed.noteOpened(1, after: 0)
        closed.noteOpened(3, after: 1)
        #expect(closed.ending(of: 1) == .forgotten)
        #expect(closed.ending(of: 2) == .forgotten)
        closed.noteOpened(9, after: 3)
        #expect([Int32]([5, 7]).allSatisfy { closed.ending(of: $0) == .skipped })
        #expect(closed.ending(of: 3) == .forgotten)
        #expect(closed.ending(of: 9) == .forgotten)
    }

    @Test("of many jumps the latest are known")
    func manyJumps() {
        var closed = ClosedStreams(streams: 1)
        var previous: Int32 = 1
        for _ in 0..<ClosedStreams.skippedRangesMax + 10 {
            closed.noteOpened(previous + 4, after: previous)
            previous += 4
        }
        #expect(closed.ending(of: previous - 2) == .skipped)
        #expect(closed.ending(of: 3) == .forgotten)
    }

    @Test("a jump over the whole id space is one range")
    func wholeSpace() {
        var closed = ClosedStreams(streams: 1)
        closed.noteOpened(.max, after: 1)
        #expect(closed.ending(of: 3) == .skipped)
        #expect(closed.ending(of: .max - 2) == .skipped)
        #expect(closed.ending(of: .max) == .forgotten)
    }

    @Test("the newest word about an id counts")
    func newest() {
        var closed = ClosedStreams(streams: 1)
        closed.insert(5, .resetByUs)
        closed.insert(5, .finishedByPeer)
        #expect(closed.ending(of: 5) == .finishedByPeer)
    }
}
