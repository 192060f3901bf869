import Foundation
import Synchronization
import Testing

@Suite("Simulation")
struct SimulationTests {
    /// The seeds of this run: one that is to be seen again, or so many from one on.
    private static let environment = ProcessInfo.processInfo.environment
    private static let replayed = environment["EKIDEN_SIM_SEED"].flatMap { UInt64($0) }
    private static let count = environment["EKIDEN_SIM_SEEDS"].flatMap { UInt64($0) } ?? 300
    private static let first = environment["EKIDEN_SIM_FIRST"].flatMap { UInt64($0) } ?? 1
    private static let shards: UInt64 = 2

    /// What was run, over all shards.
    private struct Sum {
        var runs = 0
        var calls = 0
        var attempts = 0
        var events = 0
        var failed: [UInt64] = []
        var outcomes: [String: Int] = [:]

        mutating func add(_ report: Simulation.Report) {
            runs += 1
            calls += report.calls
            attempts += report.attempts
            events += report.events
            if !report.violations.isEmpty { failed.append(report.seed) }
            outcomes.merge(report.outcomes) { $0 + $1 }
        }

        mutating func add(_ other: Sum) {
            runs += other.runs
            calls += other.calls
            attempts += other.attempts
            events += other.events
            failed += other.failed
            outcomes.merge(other.outcomes) { $0 + $1 }
        }
    }

    @Test("whatever happens, calls end once, whole and in time, and nothing is left")
    func invariants() async {
        if let seed = Self.replayed {
            let report = Simulation.run(seed: seed, isTracing: true)
            for line in report.trace { print(line) }
            expect(report)
            return
        }
        var sum = Sum()
        await withTaskGroup(of: Sum.self) { group in
            for shard in 0..<Self.shards {
                group.addTask {
                    var sum = Sum()
                    for seed in stride(from: Self.first + shard, to: Self.first + Self.count, by: Int(Self.shards)) {
                        let report = Simulation.run(seed: seed)
                        expect(report)
                        sum.add(report)
                        // Other tests want their turn.
                        await Task.yield()
                    }
                    return sum
                }
            }
            for await part in group { sum.add(part) }
        }
        print("simulation: \(sum.runs) seeds, \(sum.calls) calls, \(sum.attempts) attempts, \(sum.events) events")
        for (outcome, count) in sum.outcomes.sorted(by: { $0.value > $1.value }) { print("  \(count) \(outcome)") }
        #expect(sum.runs == Int(Self.count))
    }

    @Test("a broken rule is noticed", .enabled(if: replayed == nil), arguments: Sabotage.allCases)
    func sabotage(sabotage: Sabotage) {
        let isNoticed = (1...200).contains { seed in
            Simulation.run(seed: seed, sabotage: sabotage).violations.contains { $0.contains(sabotage.complaint) }
        }
        #expect(isNoticed)
    }

    @Test("the same seed gives the same run", .enabled(if: replayed == nil), arguments: [7, 77, 777] as [UInt64])
    func determinism(seed: UInt64) {
        let first = Simulation.run(seed: seed, isTracing: true)
        let second = Simulation.run(seed: seed, isTracing: true)
        #expect(first.digest == second.digest)
        #expect(first.trace == second.trace)
        #expect(first.calls > 0)
    }
}

private let replay = "swift test --skip-build --disable-xctest --filter DataPlaneTests.SimulationTests"

private func expect(_ report: Simulation.Report) {
    if report.violations.isEmpty { return }
    Issue.record(
        """
        seed \(report.seed): \(report.violations.joined(separator: "; "))
        again: EKIDEN_SIM_SEED=\(report.seed) \(replay)
        """)
}
