import TestSupport
import Testing

@testable import DataPlane

@Suite("Timer wheel")
struct TimerWheelTests {
    private static let millisecond: Int64 = 1_000_000
    private static let hour: Int64 = 3_600_000 * millisecond

    /// A wheel whose timers write down that they fired.
    private final class Bench {
        let wheel: TimerWheel
        private(set) var now: Int64
        private(set) var fired: [Int] = []
        private(set) var timers: [WheelTimer] = []

        init(now: Int64, timers count: Int) {
            self.now = now
            wheel = TimerWheel(now: now)
            for index in 0..<count { timers.append(WheelTimer { [unowned self] in fired.append(index) }) }
        }

        func arm(_ index: Int, after delay: Int64) {
            wheel.arm(timers[index], at: now + delay)
        }

        /// - Returns: who fired, in this order.
        func advance(by time: Int64) -> [Int] {
            now += time
            fired = []
            wheel.advance(to: now)
            return fired
        }
    }

    @Test(
        "a timer fires at its time: never early, at most a millisecond late",
        arguments: [
            0, 1, 999_999, 1_000_000, 1_000_001, 254_000_000, 255_000_000, 256_000_000, 257_500_001, 65_535_000_000,
            65_536_000_000, 65_537_000_001, 70_000_000_000,
        ] as [Int64])
    func precision(delay: Int64) {
        for start: Int64 in [0, 1, 123_456_789, 255_999_999, 65_535_999_999, 16_777_215_000_000] {
            let bench = Bench(now: start, timers: 1)
            bench.arm(0, after: delay)
            #expect(bench.advance(by: max(delay - 1, 0)).isEmpty || delay == 0, "early, from \(start)")
            #expect(bench.timers[0].isArmed)
            #expect(bench.advance(by: 1 + Self.millisecond) == [0], "late, from \(start)")
            #expect(!bench.timers[0].isArmed)
            #expect(bench.wheel.isEmpty)
        }
    }

    @Test("a timer beyond the last level waits its turn")
    func veryLong() {
        let bench = Bench(now: 77 * Self.millisecond, timers: 2)
        bench.arm(0, after: 5 * Self.hour)
        bench.arm(1, after: 4 * Self.hour)
        #expect(bench.advance(by: 4 * Self.hour - 1) == [])
        #expect(bench.advance(by: Self.millisecond) == [1])
        #expect(bench.advance(by: Self.hour - Self.millisecond) == [])
        #expect(bench.advance(by: Self.millisecond) == [0])
    }

    @Test("a deadline that has passed fires on the next look")
    func past() {
        let bench = Bench(now: 10 * Self.hour, timers: 1)
        bench.arm(0, after: -Self.hour)
        #expect(bench.advance(by: Self.millisecond) == [0])
    }

    @Test("a cancelled timer is silent; cancelling twice is nothing")
    func cancel() {
        let bench = Bench(now: 0, timers: 2)
        bench.arm(0, after: 5 * Self.millisecond)
        bench.arm(1, after: 5 * Self.millisecond)
        bench.wheel.cancel(bench.timers[0])
        bench.wheel.cancel(bench.timers[0])
        #expect(bench.advance(by: 10 * Self.millisecond) == [1])
        #expect(bench.wheel.isEmpty)
        #expect(bench.wheel.nextDeadline == nil)
    }

    @Test("a timer that goes while it is armed leaves an empty wheel")
    func forgotten() {
        let wheel = TimerWheel(now: 0)
        var timer: WheelTimer? = WheelTimer {}
        if let timer { wheel.arm(timer, at: 5 * Self.millisecond) }
        timer = nil
        wheel.advance(to: 10 * Self.millisecond)
        #expect(wheel.isEmpty)
        #expect(wheel.nextDeadline == nil)
    }

    @Test("arming an armed timer moves it", arguments: [(5, 500), (500, 5), (5, 5), (70_000, 3)] as [(Int64, Int64)])
    func move(first: Int64, second: Int64) {
        let bench = Bench(now: 0, timers: 1)
        bench.arm(0, after: first * Self.millisecond)
        bench.arm(0, after: second * Self.millisecond)
        #expect(bench.advance(by: second * Self.millisecond - 1) == [])
        #expect(bench.advance(by: 2 * Self.millisecond) == [0])
        #expect(bench.advance(by: 100_000 * Self.millisecond) == [])
    }

    @Test("a timer may arm itself, arm others and cancel others while it fires")
    func insideAction() {
        let wheel = TimerWheel(now: 0)
        var log: [String] = []
        var now: Int64 = 0
        var timers: [String: WheelTimer] = [:]
        func arm(_ name: String, after delay: Int64) {
            if let timer = timers[name] { wheel.arm(timer, at: now + delay * Self.millisecond) }
        }
        timers["periodic"] = WheelTimer {
            log.append("periodic")
            arm("periodic", after: 10)
        }
        timers["victim"] = WheelTimer { log.append("victim") }
        timers["late"] = WheelTimer { log.append("late") }
        timers["killer"] = WheelTimer {
            log.append("killer")
            if let victim = timers["victim"] { wheel.cancel(victim) }
            arm("late", after: 300)
        }
        arm("killer", after: 20)
        arm("victim", after: 20)
        arm("periodic", after: 10)
        for _ in 0..<1_000 {
            now += Self.millisecond
            wheel.advance(to: now)
        }
        #expect(log.filter { $0 == "periodic" }.count == 100)
        #expect(log.filter { $0 != "periodic" } == ["killer", "late"])
        if let periodic = timers["periodic"] { wheel.cancel(periodic) }
        #expect(wheel.isEmpty)
    }

    @Test("any sequence of arming, moving, cancelling and waiting does what a plain list does", arguments: 1...24)
    func model(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let bench = Bench(now: Int64.random(in: 0...Self.hour, using: &random), timers: 200)
        // The tick at which each armed timer is to fire.
        var expiry: [Int: Int64] = [:]
        let delays: [Int64] = [3, 300, 3_000, 100_000]
        for _ in 0..<600 {
            let index = Int.random(in: 0..<200, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<6:
                let limit = (delays.randomElement(using: &random) ?? 1) * Self.millisecond
                let delay = Int64.random(in: -limit / 10...limit, using: &random)
                bench.arm(index, after: delay)
                let tick = (bench.now + delay + Self.millisecond - 1) / Self.millisecond
                expiry[index] = max(tick, bench.now / Self.millisecond + 1)
            case 6:
                bench.wheel.cancel(bench.timers[index])
                expiry[index] = nil
            default:
                let limit = (delays.randomElement(using: &random) ?? 1) * Self.millisecond / 4
                let fired = bench.advance(by: Int64.random(in: 0...limit, using: &random))
                let due = expiry.filter { $0.value <= bench.now / Self.millisecond }
                #expect(Set(fired) == Set(due.keys))
                #expect(fired.count == due.count)
                let order = fired.map { expiry[$0] ?? 0 }
                #expect(order == order.sorted(), "earlier timers fire first")
                for index in due.keys { expiry[index] = nil }
            }
            #expect(bench.wheel.isEmpty == expiry.isEmpty)
            if let next = expiry.values.min() {
                let told = bench.wheel.nextDeadline ?? .max
                #expect(told <= next * Self.millisecond)
                #expect(told > bench.now)
            }
        }
    }
}
