import TestSupport
import Testing

@testable import Policy

@Suite("The limit that follows latency")
struct AdaptiveLimitTests {
    private static let millisecond: Int64 = 1_000_000
    private static let second: Int64 = 1_000_000_000

    /// A server with so many slots before a queue, callers that arrive by chance, and a limit in between.
    private struct Simulation {
        var slots: Int
        let service: Int64
        /// Requests per second.
        var load: Double
        var limit: AdaptiveLimit
        var random = SeededGenerator(seed: 5)
        var now: Int64
        /// When each slot is free, and when the requests in flight end, the next one last.
        private var free: [Int64]
        private var running: [(end: Int64, latency: Int64)] = []

        init(slots: Int, service: Int64, load: Double, now: Int64 = 7 * second) {
            self.slots = slots
            self.service = service
            self.load = load
            self.now = now
            limit = AdaptiveLimit(AdaptiveLimitSettings(), workers: 1, now: now)
            free = Array(repeating: 0, count: slots)
        }

        struct Result {
            var served = 0
            var refused = 0
            var latencies: [Int64] = []
            var median: Int64 { latencies.sorted()[latencies.count / 2] }
        }

        mutating func run(for time: Int64) -> Result {
            var result = Result()
            let end = now + time
            while now < end {
                now += max(Int64(-Double.random(in: Double.ulpOfOne..<1, using: &random).logarithm / load * 1e9), 1)
                while let done = running.last, done.end <= now {
                    limit.note(latency: done.latency, now: done.end)
                    running.removeLast()
                }
                guard limit.admits(inFlight: running.count, now: now) else {
                    result.refused += 1
                    continue
                }
                // The first slot that is free takes it; the service time varies by a fifth.
                let slot = free.indices.min { free[$0] < free[$1] } ?? 0
                let work = Int64(Double(service) * Double.random(in: 0.8...1.2, using: &random))
                free[slot] = max(free[slot], now) + work
                let place = running.firstIndex { $0.end <= free[slot] } ?? running.endIndex
                running.insert((free[slot], free[slot] - now), at: place)
                result.served += 1
                result.latencies.append(free[slot] - now)
            }
            return result
        }

        mutating func setSlots(_ count: Int) {
            slots = count
            free = Array(free.sorted().prefix(count)) + Array(repeating: now, count: max(count - free.count, 0))
        }
    }

    @Test("under twice the load that a server can bear the limit settles near its slots", arguments: [15, 60])
    func converges(slots: Int) {
        let service = 50 * Self.millisecond
        let capacity = Double(slots) * 20
        var simulation = Simulation(slots: slots, service: service, load: 2 * capacity)
        _ = simulation.run(for: 25 * Self.second)
        #expect(Double(simulation.limit.limit) >= 0.9 * Double(slots))
        #expect(Double(simulation.limit.limit) <= 1.7 * Double(slots))
        let result = simulation.run(for: 5 * Self.second)
        #expect(Double(result.served) >= 0.9 * capacity * 5)
        #expect(result.median < service * 17 / 10)
    }

    @Test("a server that loses most of its slots is given less, and more again when it has them back")
    func follows() {
        let service = 50 * Self.millisecond
        var simulation = Simulation(slots: 60, service: service, load: 2_000)
        _ = simulation.run(for: 25 * Self.second)
        let wide = simulation.limit.limit
        simulation.setSlots(15)
        _ = simulation.run(for: 10 * Self.second)
        let narrow = simulation.limit.limit
        #expect(narrow < wide / 2)
        #expect(narrow >= 12)
        simulation.setSlots(60)
        _ = simulation.run(for: 15 * Self.second)
        #expect(simulation.limit.limit > 2 * narrow)
    }

    @Test("a server with room to spare refuses nobody once the lowest latency is known")
    func roomToSpare() {
        var simulation = Simulation(slots: 100, service: 20 * Self.millisecond, load: 300)
        _ = simulation.run(for: 5 * Self.second)
        #expect(simulation.run(for: 20 * Self.second).refused == 0)
    }

    @Test("a limit that nobody comes near does not grow")
    func idle() {
        var limit = AdaptiveLimit(AdaptiveLimitSettings(), workers: 1, now: 0)
        for step in Int64(1)...20_000 {
            _ = limit.admits(inFlight: 1, now: step * Self.millisecond)
            limit.note(latency: 100_000, now: step * Self.millisecond)
        }
        #expect(limit.limit == 10)
    }

    @Test("the lowest latency is measured anew with few exchanges at a time, and the limit is as before after it")
    func relearns() {
        var settings = AdaptiveLimitSettings()
        settings.minimum = 4
        settings.relearnInterval = .seconds(60)
        var limit = AdaptiveLimit(settings, workers: 1, now: Self.second)
        var now = Self.second
        func answers(_ count: Int, latency: Int64) {
            for _ in 0..<count {
                now += Self.millisecond
                _ = limit.admits(inFlight: limit.limit - 1, now: now)
                limit.note(latency: latency, now: now)
            }
        }
        #expect(limit.limit == 4)
        answers(10_000, latency: 500_000)
        let before = limit.limit
        #expect(before > 100)
        now = 59 * Self.second
        while limit.limit != 4, now < 61 * Self.second { answers(1, latency: 500_000) }
        #expect(now >= 60 * Self.second && now < 61 * Self.second)
        answers(99, latency: 500_000)
        #expect(limit.limit == 4)
        answers(1, latency: 500_000)
        #expect(limit.limit >= before)
    }

    @Test("what began before the measurement does not count for it")
    func oldLatencies() {
        var limit = AdaptiveLimit(AdaptiveLimitSettings(), workers: 1, now: 10 * Self.second)
        var now = 10 * Self.second
        for _ in 0..<150 {
            now += 100_000
            limit.note(latency: Self.second, now: now)
        }
        #expect(limit.limit == 10)
        for _ in 0..<100 {
            now += 10 * Self.millisecond
            limit.note(latency: 5 * Self.millisecond, now: now)
        }
        for _ in 0..<1_000 {
            now += Self.millisecond
            _ = limit.admits(inFlight: limit.limit - 1, now: now)
            limit.note(latency: 5 * Self.millisecond, now: now)
        }
        #expect(limit.limit > 10)
    }

    @Test("workers share minimum and maximum", arguments: [(1, 10), (4, 3), (100, 1)])
    func shares(workers: Int, minimum: Int) {
        #expect(AdaptiveLimit(AdaptiveLimitSettings(), workers: workers, now: 0).limit == minimum)
    }

    @Test("the histogram's median is right to three percent")
    func median() throws {
        var random = SeededGenerator(seed: 9)
        for scale in [2_000, 150_000, 7_000_000, 900_000_000, 30_000_000_000] as [Int64] {
            var histogram = LatencyHistogram()
            #expect(histogram.median == nil)
            var values: [Int64] = []
            for _ in 0..<2_001 {
                let value = Int64.random(in: scale / 2...2 * scale, using: &random)
                values.append(value)
                histogram.note(value)
            }
            let exact = Double(values.sorted()[1_000])
            let median = Double(try #require(histogram.median))
            #expect(abs(median - exact) / exact < 0.03)
        }
        var extremes = LatencyHistogram()
        for value in [Int64.min, 0, 1, .max] { extremes.note(value) }
        #expect(extremes.count == 4)
    }
}

extension Double {
    /// The natural one, by its series: the standard library has none.
    fileprivate var logarithm: Double {
        // x = m·2ᵉ with m in 0.5..<1, ln m by the inverse hyperbolic tangent.
        let ratio = (significand - 1) / (significand + 1)
        var term = ratio
        var sum = 0.0
        for step in stride(from: 1, through: 41, by: 2) {
            sum += term / Double(step)
            term *= ratio * ratio
        }
        return 2 * sum + Double(exponent) * 0.693_147_180_559_945_3
    }
}
