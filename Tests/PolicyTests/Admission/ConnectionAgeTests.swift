import Testing

@testable import Policy

@Suite("The age of connections")
struct ConnectionAgeTests {
    private func ages(_ age: Duration?, jitter: Double) -> [Int64?] {
        var settings = ListenerSettings(name: "mesh", address: .unix(path: "/run/mesh"))
        settings.maxConnectionAge = age
        settings.connectionAgeJitter = jitter
        var random = SplitMix64(seed: 6)
        return (0..<10_000).map { _ in ConnectionAge.draw(settings, &random) }
    }

    @Test("without an age a connection lives for ever")
    func none() {
        #expect(ages(nil, jitter: 0.1).allSatisfy { $0 == nil })
    }

    @Test("jitter spreads the ages evenly around the one that is set")
    func spread() {
        let ages = ages(.seconds(100), jitter: 0.1).compactMap { $0 }.map { Double($0) / 1e9 }
        #expect(ages.allSatisfy { (90...110).contains($0) })
        for start in stride(from: 90.0, to: 110.0, by: 5) {
            #expect((2_300...2_700).contains(ages.count { $0 >= start && $0 < start + 5 }))
        }
    }

    @Test("without jitter all are as old as each other, and no setting gives none")
    func extremes() {
        #expect(ages(.seconds(1), jitter: 0).allSatisfy { $0 == 1_000_000_000 })
        #expect(ages(.seconds(1), jitter: 7).allSatisfy { ($0 ?? 0) >= 1 && ($0 ?? 0) <= 2_000_000_000 })
        #expect(ages(.seconds(Int64.max), jitter: 0.5).allSatisfy { ($0 ?? 0) == 1 << 60 })
    }
}
