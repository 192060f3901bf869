import TestSupport
import Testing

@testable import Policy

@Suite("Premature resets")
struct PrematureResetsTests {
    private static let millisecond: Int64 = 1_000_000

    private static let table: [(age: Int64, timeout: Int64?, isPremature: Bool)] = [
        (0, nil, true), (999, nil, true), (1_000, nil, false), (60_000, nil, false),
        // At the request's own deadline, and a little around it.
        (100, 100, false), (90, 100, false), (89, 100, true), (130, 100, false), (131, 100, true),
        (5, 5, false), (3, 5, true), (25, 5, false), (26, 5, true),
        // A deadline this short is no excuse.
        (4, 4, true), (1, 1, true), (0, 0, true),
        // Long before a long deadline.
        (10, 30_000, true), (999, 30_000, true), (1_000, 30_000, false),
    ]

    @Test("early is premature, unless the request's own deadline was reached", arguments: table)
    func verdict(age: Int64, timeout: Int64?, isPremature: Bool) {
        #expect(
            PrematureResets.isPremature(age: age * Self.millisecond, timeout: timeout.map { $0 * Self.millisecond })
                == isPremature)
    }

    /// Closes streams at an even rate.
    /// - Returns: the number of the stream at which the connection has to end; nil when it lives.
    private func run(
        streams: Int, every interval: Int64, limits: Limits = Limits(), isPremature: (Int) -> Bool
    ) -> Int? {
        var resets = PrematureResets(limits: limits)
        for stream in 1...streams {
            let now = 1_000_000_000_000 + Int64(stream) * interval
            if resets.note(isPremature: isPremature(stream), now: now) { return stream }
        }
        return nil
    }

    @Test("an attack ends at the minimum")
    func attack() {
        #expect(run(streams: 5_000, every: 10_000) { _ in true } == 500)
    }

    @Test("an attack that hides among as many honest streams ends, too")
    func hiddenAttack() throws {
        let killed = try #require(run(streams: 5_000, every: 10_000) { $0 % 2 == 0 })
        #expect((500...502).contains(killed))
    }

    @Test("below the ratio or below the rate a connection lives", arguments: [(3, 10_000), (1, 25)])
    func bearable(oneIn: Int, microseconds: Int64) {
        // Three in ten thousand a second; or all of them, forty a second.
        let interval = oneIn == 1 ? microseconds * Self.millisecond : microseconds
        #expect(run(streams: 20_000, every: interval) { $0 % oneIn == 0 } == nil)
    }

    @Test("a minute of a thousand calls a second that all die at their deadline of 100 ms is honest")
    func brownOut() {
        var random = SeededGenerator(seed: 7)
        let killed = run(streams: 60_000, every: Self.millisecond) { _ in
            let age = Int64.random(in: 99...115, using: &random) * Self.millisecond
            return PrematureResets.isPremature(age: age, timeout: 100 * Self.millisecond)
        }
        #expect(killed == nil)
    }

    @Test("what happened in an earlier window is forgotten")
    func window() {
        var resets = PrematureResets(limits: Limits())
        for stream in 0..<499 { #expect(!note(&resets, now: Int64(stream))) }
        let later: Int64 = 10_000_000_001
        for stream in 0..<499 { #expect(!note(&resets, now: later + Int64(stream))) }
        #expect(note(&resets, now: later + 500))
    }

    private func note(_ resets: inout PrematureResets, now: Int64) -> Bool {
        resets.note(isPremature: true, now: now)
    }

    @Test("the limits are the listener's")
    func limits() {
        var limits = Limits()
        limits.prematureResetMinimum = 10
        limits.prematureResetRatio = 0.9
        #expect(run(streams: 100, every: 1, limits: limits) { _ in true } == 10)
        #expect(run(streams: 100, every: 1, limits: limits) { $0 % 5 != 0 } == nil)
    }
}
