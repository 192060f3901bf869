import Telemetry
import TestSupport
import Testing

@testable import DataPlane

@Suite("Queue of waiting attempts")
struct PendingQueueTests {
    private let bench = WorkerBench()
    private let exchange: Exchange

    init() {
        exchange = Exchange(worker: bench.worker)
    }

    @Test("first come, first served; the cluster counts who waits")
    func order() {
        let pool = bench.pool()
        let queue = PendingQueue()
        let attempts = (0..<5).map { _ in Attempt(exchange: exchange) }
        let tickets = attempts.map { queue.append($0, cluster: pool, deadline: 100) }
        #expect(pool.pendingCount == 5)
        #expect(pool.counters.read(ClusterMetric.pendingStreams.rawValue) == 5)
        tickets[0].cancel()
        tickets[3].cancel()
        tickets[3].cancel()
        #expect(pool.pendingCount == 3)
        for index in [1, 2, 4] { #expect(queue.pop() === attempts[index]) }
        #expect(queue.pop() == nil)
        #expect(queue.isEmpty)
        #expect(pool.pendingCount == 0)
        #expect(pool.counters.read(ClusterMetric.pendingStreams.rawValue) == 0)
        tickets[1].cancel()
        #expect(pool.pendingCount == 0)
    }

    @Test("those whose patience has ended come out, the others stay")
    func patience() {
        let pool = bench.pool()
        let queue = PendingQueue()
        let attempts = (0..<3).map { _ in Attempt(exchange: exchange) }
        let tickets = attempts.enumerated().map { queue.append($1, cluster: pool, deadline: Int64($0 + 1) * 10) }
        #expect(queue.nextDeadline == 10)
        #expect(queue.pop(dueBy: 9) == nil)
        #expect(queue.pop(dueBy: 20) === attempts[0])
        tickets[1].cancel()
        #expect(queue.nextDeadline == 30)
        #expect(queue.pop(dueBy: 20) == nil)
        #expect(queue.pop(dueBy: 30) === attempts[2])
        #expect(queue.nextDeadline == nil)
    }

    @Test("a queue that was long stays right", arguments: 1...5)
    func longQueue(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let pool = bench.pool()
        let queue = PendingQueue()
        var expected: [(attempt: Attempt, ticket: PendingTicket)] = []
        for step in 0..<3_000 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<(step < 1_500 ? 7 : 3):
                let attempt = Attempt(exchange: exchange)
                expected.append((attempt, queue.append(attempt, cluster: pool, deadline: Int64(step))))
            case 9 where !expected.isEmpty:
                let index = Int.random(in: expected.indices, using: &random)
                expected.remove(at: index).ticket.cancel()
            default:
                let popped = queue.pop()
                #expect(popped === expected.first?.attempt)
                if !expected.isEmpty { expected.removeFirst() }
            }
            #expect(pool.pendingCount == expected.count)
            #expect(queue.countAtMost >= expected.count)
        }
    }
}
