import Testing

@testable import Policy

@Suite("Exchanges that wait for an answer")
struct QueuedExchangesTests {
    private static let second: Int64 = 1_000_000_000

    @Test("each counts until it is answered, once")
    func counts() {
        var queue = QueuedExchanges()
        let places = (0..<5).map { queue.add(now: 100 * Self.second + Int64($0)) }
        #expect(queue.count == 5)
        for place in places.prefix(3) { queue.remove(place) }
        #expect(queue.count == 2)
    }

    @Test("who has waited for long counts no more, and gives nothing back")
    func ages() {
        var queue = QueuedExchanges()
        let old = queue.add(now: 7 * Self.second)
        let young = queue.add(now: 10 * Self.second)
        queue.advance(now: 7 * Self.second + QueuedExchanges.span * 9 / 10 - 1)
        #expect(queue.count == 2)
        queue.advance(now: 7 * Self.second + QueuedExchanges.span)
        #expect(queue.count == 1)
        queue.remove(old)
        #expect(queue.count == 1)
        queue.remove(young)
        #expect(queue.count == 0)
    }

    @Test("after a long rest nothing is left of what was before")
    func rest() {
        var queue = QueuedExchanges()
        let old = (0..<20).map { queue.add(now: Int64($0) * Self.second / 4) }
        queue.advance(now: 1_000 * Self.second)
        #expect(queue.count == 0)
        let new = queue.add(now: 1_000 * Self.second)
        for place in old { queue.remove(place) }
        #expect(queue.count == 1)
        queue.remove(new)
        #expect(queue.count == 0)
    }
}
