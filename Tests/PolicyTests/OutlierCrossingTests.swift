import Synchronization
import TestSupport
import Testing

@testable import Policy

@Suite("Outlier crossing")
struct OutlierCrossingTests {
    private static let second = OutlierCluster.second

    // MARK: Threads

    @Test("workers that see failures in the same moment never exceed the maximum together", arguments: 2...6)
    func maximum(count: Int) async {
        for round in 0..<50 {
            let cluster = OutlierCluster(count) { $0.maxEjectedShare = round % 2 == 0 ? 0.5 : 1 }
            let most = cluster.settings.ejectedMax(of: count)
            let ejections = await withTaskGroup(of: Int.self) { group in
                for worker in 0..<4 {
                    group.addTask {
                        var ejections = 0
                        for step in 0..<(20 * count) {
                            if cluster.note(.reset, (worker + step) % count) != nil { ejections += 1 }
                            // Nobody comes back here, so that a count can only be too low.
                            if cluster.ejected.count > most { ejections += 1_000 }
                        }
                        return ejections
                    }
                }
                return await group.reduce(0, +)
            }
            #expect(ejections == cluster.ejected.count)
            // Whoever was turned away by another's ejection tries again: the maximum is reached.
            for index in 0..<count { cluster.fail(index) }
            #expect(cluster.ejected.count == most)
            #expect(!cluster.isGateHeld)
        }
    }

    @Test("of two workers that see the last failures of two endpoints in the same moment one ejects")
    func sameMoment() async {
        for _ in 0..<2_000 {
            let cluster = OutlierCluster(3)
            for index in 0..<2 {
                for _ in 0..<4 { cluster.note(.reset, index) }
            }
            let meeting = Meeting()
            await withTaskGroup(of: Void.self) { group in
                for index in 0..<2 {
                    group.addTask {
                        meeting.arrive()
                        cluster.note(.reset, index)
                    }
                }
            }
            #expect(cluster.ejected.count == 1)
        }
    }

    /// Two workers go on together, or alone where there is one thread only.
    private final class Meeting: Sendable {
        private let arrivals = Atomic<Int>(0)

        func arrive() {
            arrivals.wrappingAdd(1, ordering: .relaxed)
            for _ in 0..<10_000 where arrivals.load(ordering: .acquiring) == 2 { return }
        }
    }

    @Test("of workers that ask for a trial in the same moment one gets it")
    func oneTrial() async {
        for _ in 0..<100 {
            let cluster = OutlierCluster(2)
            cluster.fail(0)
            let claims = await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<4 { group.addTask { cluster.claimTrial(0, at: 31 * Self.second) } }
                return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(claims == 1)
        }
    }

    @Test("of sweeps in the same moment one compares, and of an interval's failures none is judged twice")
    func oneSweep() async {
        for _ in 0..<100 {
            let cluster = OutlierCluster(5)
            for index in 0..<5 { cluster.serve(100, failures: index == 2 ? 50 : 0, index) }
            let found = await withTaskGroup(of: [Int].self) { group in
                for _ in 0..<4 { group.addTask { cluster.sweep(at: 10 * Self.second).map(\.index) } }
                return await group.reduce(into: []) { $0 += $1 }
            }
            #expect(found == [2])
        }
    }

    @Test("failures, successes, trials and sweeps that cross each other leave a cluster within its limits")
    func crossing() async {
        for round in 0..<20 {
            let count = 2 + round % 4
            let cluster = OutlierCluster(count) {
                $0.interval = .nanoseconds(50)
                $0.ejectionBase = .nanoseconds(20)
                $0.ejectionMax = .nanoseconds(100)
                $0.minimumRequests = 5
                $0.minimumEndpoints = 2
            }
            let ejections = await withTaskGroup(of: Int.self) { group in
                for worker in 0..<4 {
                    group.addTask {
                        var random = SeededGenerator(seed: UInt64(round * 4 + worker))
                        return (1...2_000).reduce(0) { sum, now in
                            sum + Self.act(on: cluster, now: Int64(now), &random).count
                        }
                    }
                }
                return await group.reduce(0, +)
            }
            #expect(ejections == (0..<count).reduce(0) { $0 + cluster.ejectionsTotal($1) })
            #expect(cluster.ejected.count <= cluster.settings.ejectedMax(of: count))
            #expect(!cluster.isGateHeld)
            // And everybody can be tried and come back.
            for index in cluster.ejected {
                let late = 1_000 * Self.second
                #expect(cluster.claimTrial(index, at: late))
                cluster.note(.grpc(0), index, at: late, isTrial: true)
            }
            #expect(cluster.ejected == [])
        }
    }

    /// What a worker does with an endpoint by chance: its trial, a sweep, an attempt.
    private static func act(
        on cluster: OutlierCluster, now: Int64, _ random: inout SeededGenerator
    ) -> [Ejection] {
        let index = Int.random(in: 0..<cluster.cluster.endpoints.count, using: &random)
        let result = results[Int.random(in: 0..<results.count, using: &random)]
        switch Int.random(in: 0..<10, using: &random) {
        case 0: return OutlierDetector.sweep(cluster.cluster, now: now)
        case 1...3 where cluster.claimTrial(index, at: now):
            return cluster.note(result, index, at: now, isTrial: true).map { [$0] } ?? []
        default: return cluster.note(result, index, at: now).map { [$0] } ?? []
        }
    }

    private static let results: [AttemptResult] = [
        .reset, .lost, .timedOut, .connectFailure, .grpc(14), .http(503), .grpc(13), .reset, .refused, .abandoned,
        .grpc(0), .grpc(5),
    ]

    // MARK: Chance

    @Test("whatever happens to a cluster, its rules hold", arguments: 1...40)
    func property(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let count = Int.random(in: 1...6, using: &random)
        let share = Double.random(in: 0...1, using: &random)
        let cluster = OutlierCluster(count) {
            $0.maxEjectedShare = share
            $0.consecutiveFailures = Int.random(in: 1...4, using: &random)
            $0.failureShare = Bool.random(using: &random) ? 0.6 : nil
            $0.minimumRequests = 5
        }
        var now: Int64 = 0
        for _ in 0..<2_000 {
            now += Int64.random(in: 0...(3 * Self.second), using: &random)
            shake(cluster[Int.random(in: 0..<count, using: &random)], &random)
            let before = (0..<count).map(cluster.ejectedUntil)
            let wasUsable = cluster.isUsable
            let ejections = Self.act(on: cluster, now: now, &random)

            #expect(cluster.ejected.count <= cluster.settings.ejectedMax(of: count))
            #expect(cluster.isUsable == wasUsable || cluster.isUsable)
            for ejection in ejections {
                // Doubles from the base, and no longer than the longest.
                #expect([30, 60, 120, 240, 300].contains(ejection.lasts / .seconds(1)))
                let index = cluster.cluster.endpoints.firstIndex { $0 === ejection.endpoint } ?? 0
                #expect(cluster.ejectedUntil(index) == now + ejection.lasts.nanoseconds)
                #expect((ejection.reason == .trial) == (before[index] != nil))
            }
            for index in 0..<count {
                // Nothing ends before its time, and nothing else than an ejection moves it.
                guard let until = before[index], until > now else { continue }
                #expect(cluster.ejectedUntil(index) == until)
            }
        }
    }

    /// Makes an endpoint ill or well, in one of the ways that are not the detector's.
    private func shake(_ endpoint: Endpoint, _ random: inout SeededGenerator) {
        switch Int.random(in: 0..<40, using: &random) {
        case 0: endpoint.recordUnreachable(now: 0, base: 1, ceiling: 1)
        case 1...2: endpoint.recordReached()
        case 3: endpoint.health.set(.unhealthy)
        case 4...5: endpoint.health.set(.healthy)
        default: break
        }
    }
}
