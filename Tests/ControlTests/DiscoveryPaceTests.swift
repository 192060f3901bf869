import TestSupport
import Testing

@testable import Control

@Suite("When a name is asked again")
struct DiscoveryPaceTests {
    private let bounds = LookPace.Bounds(minTTL: .seconds(1), maxTTL: .seconds(10))

    private func isBetween(_ pause: Duration, _ low: Duration, _ high: Duration) -> Bool {
        pause >= low && pause <= high
    }

    @Test(
        "the TTL of a whole answer is clamped and jittered by a tenth",
        arguments: [(0, 1), (1, 1), (5, 5), (10, 10), (300, 10), (4_294_967_295, 10)])
    func wholeAnswer(ttl: Int, seconds: Int) {
        let pauses = (0..<200).map { seed in
            var random = SeededGenerator(seed: UInt64(seed))
            var pace = LookPace()
            return pace.pause(after: .good(.init(ttl: .seconds(ttl))), within: bounds, using: &random)
        }
        #expect(pauses.allSatisfy { isBetween($0, .seconds(seconds) * 0.9, .seconds(seconds) * 1.1) })
        #expect(Set(pauses).count > 100)
        #expect(pauses.contains { $0 < .seconds(seconds) })
    }

    @Test(
        "where the next look says nothing before the TTL is over, the pause is never shorter",
        arguments: [(0, 1), (1, 1), (5, 5), (10, 10), (300, 10)], [true, false])
    func atLeastTheTTL(_ ttl: (given: Int, clamped: Int), isCut: Bool) {
        for seed in 0..<200 {
            var random = SeededGenerator(seed: UInt64(seed))
            var pace = LookPace()
            let good = LookPace.Good(ttl: .seconds(ttl.given), waitsForTTL: !isCut, isCut: isCut)
            let pause = pace.pause(after: .good(good), within: bounds, using: &random)
            #expect(isBetween(pause, .seconds(ttl.clamped) + .milliseconds(50), .seconds(ttl.clamped) * 1.16))
        }
    }

    @Test("failures back off from one second to thirty, and a good answer ends that")
    func backOff() {
        var random = SeededGenerator(seed: 1)
        var pace = LookPace()
        for (index, expected) in ([1, 2, 4, 8, 16, 30, 30] + Array(repeating: 30, count: 100)).enumerated() {
            let pause = pace.pause(
                after: .failing(looks: index + 1, negativeTTL: nil), within: bounds, using: &random)
            #expect(isBetween(pause, .seconds(expected) * 0.9, .seconds(expected) * 1.1))
        }
        let pause = pace.pause(after: .good(.init(ttl: .seconds(2))), within: bounds, using: &random)
        #expect(pause <= .seconds(2) * 1.1)
    }

    @Test(
        "the negative TTL is waited for, within the clamp",
        arguments: [(1, 5, 5.0...5.0), (1, 300, 10...10), (6, 5, 27...33), (1, 0, 0.9...1.1)]
            as [(Int, Int, ClosedRange<Double>)])
    func negativeTTL(looks: Int, ttl: Int, seconds: ClosedRange<Double>) {
        var random = SeededGenerator(seed: 1)
        var pace = LookPace()
        let pause = pace.pause(
            after: .failing(looks: looks, negativeTTL: .seconds(ttl)), within: bounds, using: &random)
        #expect(isBetween(pause, .seconds(seconds.lowerBound), .seconds(seconds.upperBound)))
    }

    @Test(
        "after a failure a refresh waits for the pause, five seconds of it at most, and for the negative TTL",
        arguments: [
            (pause: 0.9, ttl: nil, gap: 1), (pause: 4, ttl: nil, gap: 4), (pause: 30, ttl: nil, gap: 5),
            (pause: 7, ttl: 7, gap: 7), (pause: 30, ttl: 3, gap: 5), (pause: 30, ttl: 300, gap: 10),
        ] as [(pause: Double, ttl: Int?, gap: Double)])
    func refreshGap(failure: (pause: Double, ttl: Int?, gap: Double)) {
        let gap = LookPace.refreshGap(
            after: .failing(looks: 1, negativeTTL: failure.ttl.map { .seconds($0) }), pause: .seconds(failure.pause),
            within: bounds)
        #expect(gap == .seconds(failure.gap))
        let good = LookPace.refreshGap(after: .good(.init(ttl: .seconds(9))), pause: .seconds(9), within: bounds)
        #expect(good == .seconds(1))
    }

    /// Looks at a set that stays incomplete, until the servers are asked as configured again.
    private func fills(_ pace: inout LookPace, hasChanged: Bool, share: Double?) -> [Int] {
        var random = SeededGenerator(seed: 1)
        var servers: [Int] = []
        for look in 0..<100 {
            let good = LookPace.Good(
                ttl: .seconds(5), isCut: true, share: share, hasChanged: hasChanged && look == 0)
            _ = pace.pause(after: .good(good), within: bounds, using: &random)
            if pace.firstServer == 0 { break }
            servers.append(pace.firstServer)
        }
        return servers
    }

    @Test("an incomplete set is asked for at another server each time, sixteen times, and again after a change")
    func filling() {
        for share in [nil, 0.5] {
            var pace = LookPace()
            #expect(fills(&pace, hasChanged: false, share: share) == Array(1...16))
            #expect(fills(&pace, hasChanged: false, share: share) == [])
            #expect(fills(&pace, hasChanged: true, share: share) == Array(1...16))
        }
    }

    @Test("a complete set is asked for as configured, and the change after it deserves all looks")
    func complete() {
        var pace = LookPace()
        var random = SeededGenerator(seed: 1)
        for share in [nil, 0.4, 0.8] {
            _ = pace.pause(
                after: .good(.init(ttl: .seconds(5), isCut: true, share: share)), within: bounds, using: &random)
        }
        #expect(pace.firstServer == 3)
        #expect(fills(&pace, hasChanged: false, share: 0.99) == [])
        #expect(fills(&pace, hasChanged: false, share: 0.9) == [])
        #expect(fills(&pace, hasChanged: true, share: 0.9) == Array(1...16))
    }

    @Test("only a TTL of zero makes filling looks come faster than the shortest TTL")
    func zeroTTL() {
        var random = SeededGenerator(seed: 1)
        var pace = LookPace()
        for look in 1...40 {
            let good = LookPace.Good(ttl: .zero, isCut: true, share: nil)
            let pause = pace.pause(after: .good(good), within: bounds, using: &random)
            if look <= LookPace.fills {
                #expect(isBetween(pause, .milliseconds(200), .milliseconds(220)))
            } else {
                #expect(pause >= .seconds(1))
            }
        }
    }

    @Test("whatever happens, looks start a second apart on average, but for runs of sixteen", arguments: 0..<20)
    func noStorm(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var pace = LookPace()
        var (failures, fillsInRow, others) = (0, 0, 0)
        var time = Duration.zero
        for _ in 0..<2_000 {
            let condition: LookPace.Condition
            if Int.random(in: 0..<3, using: &random) == 0 {
                failures += 1
                condition = .failing(
                    looks: failures, negativeTTL: Bool.random(using: &random) ? .seconds(0) : nil)
            } else {
                failures = 0
                condition = .good(
                    LookPace.Good(
                        ttl: .seconds(Int.random(in: 0...2, using: &random)), waitsForTTL: .random(using: &random),
                        isCut: .random(using: &random), share: [nil, 0.5, 1].randomElement(using: &random) ?? nil,
                        hasChanged: .random(using: &random)))
            }
            let pause = pace.pause(after: condition, within: bounds, using: &random)
            if pause < .milliseconds(900) {
                fillsInRow += 1
                #expect(pause >= .milliseconds(200))
            } else {
                fillsInRow = 0
                others += 1
                time += pause
            }
            #expect(fillsInRow <= LookPace.fills)
        }
        #expect(time >= .seconds(others))
    }
}
