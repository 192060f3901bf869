import TestSupport
import Testing

@testable import Policy

@Suite("Rate limits of a route")
struct RouteLimiterTests {
    private static let millisecond: Int64 = 1_000_000
    private static let second: Int64 = 1_000_000_000
    private static let start: Int64 = 1_000 * second

    private func limiter(
        rate: Double? = nil, burst: Int = 1, caller: (rate: Double, burst: Int)? = nil, maxCallers: Int = 10_000
    ) -> RouteLimiter {
        var settings = RateLimitSettings()
        settings.requestsPerSecond = rate
        settings.burst = burst
        if let caller {
            var perCaller = CallerRateLimitSettings()
            perCaller.requestsPerSecond = caller.rate
            perCaller.burst = caller.burst
            perCaller.maxCallers = maxCallers
            settings.perCaller = perCaller
        }
        return RouteLimiter(settings)
    }

    /// Places that there are at one moment.
    private func granted(_ limiter: RouteLimiter, caller: UInt64 = 0, tries: Int, now: Int64) -> Int {
        (0..<tries).count { _ in limiter.take(caller: caller, now: now) == nil }
    }

    @Test(
        "a full bucket gives its burst at once, then as many as the rate says",
        arguments: [(10.0, 1), (10.0, 5), (1_000.0, 100), (0.5, 2), (300_000.0, 1_000)])
    func burstThenRate(rate: Double, burst: Int) {
        let limiter = limiter(rate: rate, burst: burst)
        #expect(granted(limiter, tries: 2 * burst, now: Self.start) == burst)
        // In a time in which ten tokens come back, tried at every tenth of a token.
        let step = 1e9 / rate / 10
        let count = (1...100).count {
            limiter.take(caller: 0, now: Self.start + Int64((Double($0) * step).rounded(.up))) == nil
        }
        #expect(count == 10)
        // After a long rest there is the burst again, and not more.
        #expect(granted(limiter, tries: 2 * burst, now: Self.start + 1_000 * Self.second) == burst)
    }

    @Test("a refusal says when there will be a place: not sooner, and then there is one")
    func wait() throws {
        let limiter = limiter(rate: 100, burst: 3)
        #expect(granted(limiter, tries: 3, now: Self.start) == 3)
        let refusal = try #require(limiter.take(caller: 0, now: Self.start + 4 * Self.millisecond))
        #expect(refusal == RouteLimiter.Refusal(wait: 6 * Self.millisecond, scope: .route))
        #expect(limiter.take(caller: 0, now: Self.start + 10 * Self.millisecond - 1) != nil)
        #expect(limiter.take(caller: 0, now: Self.start + 10 * Self.millisecond) == nil)
    }

    @Test("workers whose clock readings are a little apart get no more than one would")
    func unorderedTime() {
        let limiter = limiter(rate: 1_000, burst: 10)
        var random = SeededGenerator(seed: 7)
        var count = 0
        for turn in 0..<10_000 {
            let now = Self.start + Int64(turn) * 100_000 - Int64.random(in: 0...50_000, using: &random)
            if limiter.take(caller: 0, now: now) == nil { count += 1 }
        }
        #expect((1_008...1_010).contains(count))
    }

    @Test("threads that take at the same time get the burst exactly", arguments: [(700, 5_000), (300, 3_000)])
    func exactOverThreads(callerBurst: Int, expected: Int) async {
        let limiter = limiter(rate: 1, burst: 5_000, caller: (rate: 1, burst: callerBurst))
        let total = await withTaskGroup(of: Int.self) { group in
            for worker in 0..<8 {
                group.addTask {
                    (0..<2_000).count { limiter.take(caller: UInt64(($0 + worker) % 10) << 60, now: Self.start) == nil }
                }
            }
            return await group.reduce(0, +)
        }
        #expect(total == expected)
    }

    @Test("each caller has a bucket of its own")
    func perCaller() {
        let limiter = limiter(caller: (rate: 10, burst: 4))
        for caller in UInt64(0)..<1_000 {
            #expect(granted(limiter, caller: caller &* 0x9e37_79b9_7f4a_7c15, tries: 6, now: Self.start) == 4)
        }
        // All were remembered.
        for caller in UInt64(0)..<1_000 {
            let refusal = limiter.take(caller: caller &* 0x9e37_79b9_7f4a_7c15, now: Self.start)
            #expect(refusal == RouteLimiter.Refusal(wait: 100 * Self.millisecond, scope: .caller))
        }
    }

    @Test("what the caller's bucket refuses is not charged to the route, nor the other way round")
    func neitherIsCharged() {
        let limiter = limiter(rate: 1, burst: 10, caller: (rate: 1, burst: 6))
        #expect(granted(limiter, caller: 1, tries: 100, now: Self.start) == 6)
        #expect(limiter.take(caller: 1, now: Self.start)?.scope == .caller)
        // Ninety-four refusals later the route has its other four places.
        #expect(granted(limiter, caller: 2, tries: 100, now: Self.start) == 4)
        #expect(limiter.take(caller: 2, now: Self.start)?.scope == .route)
        // And the second caller has been charged for four: two are left, and two come with the two seconds in which the
        // route gets back as many.
        let later = Self.start + 2 * Self.second
        #expect(granted(limiter, caller: 2, tries: 100, now: later) == 2)
        #expect(granted(limiter, caller: 2, tries: 100, now: later + 8 * Self.second) == 6)
    }

    @Test("a flood of new callers does not wash away the bucket of one that is over its limit", arguments: [1, 8, 100])
    func flood(maxCallers: Int) {
        let limiter = limiter(caller: (rate: 1, burst: 50), maxCallers: maxCallers)
        let greedy: UInt64 = 0xfeed_0000_0000_0001
        #expect(granted(limiter, caller: greedy, tries: 100, now: Self.start) == 50)
        var random = SeededGenerator(seed: 3)
        for _ in 0..<10_000 { _ = limiter.take(caller: random.next(), now: Self.start) }
        // With a single place the last one has it.
        #expect(granted(limiter, caller: greedy, tries: 100, now: Self.start) == (maxCallers == 1 ? 50 : 0))
    }

    @Test("as many callers as are to be remembered are, but for a few in a hundred")
    func remembers() {
        let limiter = limiter(caller: (rate: 0.001, burst: 1), maxCallers: 10_000)
        var random = SeededGenerator(seed: 11)
        let callers = (0..<10_000).map { _ in random.next() }
        for caller in callers { #expect(limiter.take(caller: caller, now: Self.start) == nil) }
        let forgotten = callers.count { limiter.take(caller: $0, now: Self.start) == nil }
        #expect(forgotten < 300)
    }

    @Test("settings that make no sense break nothing", arguments: [0, -1, 1e-30, 1e30, .infinity, .nan])
    func oddRates(rate: Double) {
        let limiter = limiter(rate: rate, burst: .max, caller: (rate: rate, burst: 0), maxCallers: 0)
        #expect(limiter.take(caller: .max, now: Self.start) == nil)
        _ = granted(limiter, tries: 100, now: .max >> 2)
    }
}
