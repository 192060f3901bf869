import Testing

@testable import Policy

@Suite("Outlier sweep")
struct OutlierSweepTests {
    private static let second = OutlierCluster.second
    private static let millisecond: Int64 = 1_000_000

    /// What an endpoint answered: requests, and how many of them failed.
    typealias Answers = (requests: Int, failures: Int)

    // MARK: Success rate

    private static let successRates: [(answers: [Answers], found: [Int])] = [
        // Fewer endpoints than it takes to compare.
        ([(100, 100), (100, 0)], []),
        // One of three, four, five.
        ([(100, 100), (100, 0), (100, 0)], [0]), ([(100, 0), (100, 30), (100, 0)], [1]),
        ([(100, 0), (100, 0), (100, 0), (100, 50)], [3]),
        ([(1_000, 0), (1_000, 0), (1_000, 100), (1_000, 0), (1_000, 0)], [2]),
        // Next to nothing is no outlier, whatever the deviation and the number of requests.
        ([(1_000, 1), (1_000, 0), (1_000, 0)], []),
        ([(1_000_000, 1_000), (1_000_000, 0), (1_000_000, 0), (1_000_000, 0), (1_000_000, 0)], []),
        ([(1_000_000, 49_000), (1_000_000, 0), (1_000_000, 0)], []),
        ([(1_000_000, 51_000), (1_000_000, 0), (1_000_000, 0)], [0]),
        // A few failures of few requests may be chance.
        ([(50, 4), (50, 0), (50, 0)], []), ([(50, 25), (50, 0), (50, 0)], [0]),
        // All ill, equally or nearly so: nobody is an outlier.
        ([(100, 100), (100, 100), (100, 100)], []), ([(100, 50), (100, 50), (100, 50)], []),
        ([(100, 56), (100, 48), (100, 50)], []), ([(50, 33), (50, 25), (50, 25), (50, 24), (50, 26)], []),
        // All well.
        ([(100, 0), (100, 0), (100, 0), (100, 0), (100, 0)], []), ([(0, 0), (0, 0), (0, 0)], []),
        // Who was asked too little is neither compared nor compared with.
        ([(49, 49), (100, 0), (100, 0), (100, 0)], []), ([(100, 100), (49, 0), (100, 0)], []),
        // Better than the others is no outlier.
        ([(100, 0), (100, 100), (100, 100)], []),
        // The worst first.
        (
            [(200, 0), (200, 0), (200, 160), (200, 0), (200, 0), (200, 0), (200, 200), (200, 0), (200, 0), (200, 0)],
            [6, 2]
        ),
    ]

    private static func windows(_ answers: [Answers]) -> [OutlierWindow?] {
        answers.map { OutlierWindow(requests: $0.requests, failures: $0.failures) }
    }

    @Test("an endpoint far below the others' success rate is found", arguments: successRates)
    func successRate(answers: [Answers], found: [Int]) {
        let findings = OutlierComparison.findings(in: Self.windows(answers), OutlierSettings())
        #expect(findings == found.map { OutlierComparison.Finding(index: $0, reason: .successRate) })
    }

    @Test("one of n that answers nothing is found with the default deviations", arguments: 3...50)
    func oneOfMany(count: Int) {
        let answers = [(requests: 50, failures: 50)] + Array(repeating: (requests: 50, failures: 0), count: count - 1)
        #expect(OutlierComparison.findings(in: Self.windows(answers), OutlierSettings()).map(\.index) == [0])
    }

    @Test("what is ejected is compared with nobody")
    func ejectedApart() {
        var windows = Self.windows([(100, 100), (100, 0), (100, 0)])
        windows[1] = nil
        #expect(OutlierComparison.findings(in: windows, OutlierSettings()) == [])
    }

    @Test("endpoints that differ by chance only are ejected next to never", arguments: [0.01, 0.1, 0.5, 0.9])
    func chance(failing: Double) {
        var random = SplitMix64(seed: 7)
        var found = 0
        for round in 0..<400 {
            let answers = (0..<(3 + round % 5)).map { _ in
                (requests: 60, failures: (0..<60).count { _ in Double.random(in: 0..<1, using: &random) < failing })
            }
            found += OutlierComparison.findings(in: Self.windows(answers), OutlierSettings()).count
        }
        // Of some two thousand comparisons.
        #expect(found <= 2, "\(found)")
    }

    // MARK: Failure share

    private static let failureShares: [(share: Double, answers: [Answers], found: [Int])] = [
        (0.5, [(100, 50), (100, 49)], [0]), (0.5, [(100, 50), (100, 90)], [1, 0]), (0.5, [(49, 49), (100, 0)], []),
        (0, [(100, 0), (100, 1)], [1]), (1, [(100, 100), (100, 99)], [0]), (0.85, [(100, 85)], [0]),
    ]

    @Test("an endpoint of whose requests too large a share failed is found, the worst first", arguments: failureShares)
    func failureShare(share: Double, answers: [Answers], found: [Int]) {
        var settings = OutlierSettings()
        settings.successRateDeviations = nil
        settings.failureShare = share
        let findings = OutlierComparison.findings(in: Self.windows(answers), settings)
        #expect(findings == found.map { OutlierComparison.Finding(index: $0, reason: .failureShare) })
    }

    // MARK: Latency

    private static let latencies: [(minimum: Int, milliseconds: [Double], found: [Int])] = [
        (3, [10, 10, 31], [2]), (3, [10, 10, 30], []), (3, [10, 100], []), (2, [10, 31], [1]), (2, [10, 30], []),
        (3, [10, 20, 40, 61], [3]), (3, [10, 20, 40, 60], []), (3, [5, 200, 5, 100, 5], [1, 3]),
        // Much slower, and yet nothing that anybody would notice.
        (3, [0.01, 0.01, 0.9], []), (3, [0.01, 0.01, 1.1], [2]),
        (3, [100, 100, 1], []),
    ]

    @Test("an endpoint that takes several times the median is found, the slowest first", arguments: latencies)
    func latency(minimum: Int, milliseconds: [Double], found: [Int]) {
        var settings = OutlierSettings()
        settings.latencyFactor = 3
        settings.minimumEndpoints = minimum
        let windows = milliseconds.map { mean -> OutlierWindow? in
            OutlierWindow(
                requests: 100, failures: 0, latencySum: Int64(mean * Double(Self.millisecond)) * 100,
                latencyCount: 100)
        }
        let findings = OutlierComparison.findings(in: windows, settings)
        #expect(findings == found.map { OutlierComparison.Finding(index: $0, reason: .latency) })
    }

    @Test("latencies are those of successes, and summed only where they are compared")
    func latencySums() {
        let cluster = OutlierCluster(2) { $0.latencyFactor = 3 }
        cluster.note(.grpc(0), 0, latency: 100)
        cluster.note(.http(404), 0, latency: 20)
        cluster.note(.grpc(14), 0, latency: 3_000)
        cluster.note(.abandoned, 0, latency: 40_000)
        cluster.note(.grpc(0), 0, latency: nil)
        #expect(
            cluster.takeWindow(0)
                == OutlierWindow(requests: 4, failures: 1, latencySum: 120, latencyCount: 2))
        let without = OutlierCluster(2)
        without.note(.grpc(0), 0, latency: 100)
        #expect(without.takeWindow(0) == OutlierWindow(requests: 1))
    }

    // MARK: The sweep

    @Test("the sweep ejects by each of its rules", arguments: [2, 3, 4, 5])
    func rules(count: Int) throws {
        let rate = OutlierCluster(count) { $0.minimumEndpoints = 2 }
        let share = OutlierCluster(count) {
            $0.successRateDeviations = nil
            $0.failureShare = 0.2
        }
        let slow = OutlierCluster(count) {
            $0.latencyFactor = 3
            $0.minimumEndpoints = 2
        }
        for index in 0..<count {
            rate.serve(100, failures: index == 1 ? 50 : 0, index)
            share.serve(100, failures: index == 1 ? 50 : 0, index)
            slow.serve(100, failures: 0, index, latency: (index == 1 ? 50 : 5) * Self.millisecond)
        }
        for (cluster, reason) in [(rate, Ejection.Reason.successRate), (share, .failureShare), (slow, .latency)] {
            let ejections = OutlierDetector.sweep(cluster.cluster, now: 10 * Self.second)
            let ejection = try #require(ejections.first)
            #expect(ejections.count == 1)
            #expect(ejection.endpoint === cluster[1])
            #expect(ejection.reason == reason)
            #expect(ejection.lasts == .seconds(30))
            #expect(cluster.ejected == [1])
            #expect(cluster.ejectedUntil(1) == 40 * Self.second)
        }
    }

    @Test("the sweep ejects no more than the maximum, and the worst")
    func worst() {
        let cluster = OutlierCluster(5) {
            $0.successRateDeviations = nil
            $0.failureShare = 0.2
        }
        for index in 0..<5 { cluster.serve(100, failures: 20 + 10 * index, index) }
        #expect(cluster.sweep(at: Self.second).map(\.index) == [4, 3])
        #expect(cluster.ejected == [3, 4])
    }

    @Test("an endpoint that several rules find is ejected once")
    func once() {
        let cluster = OutlierCluster(5) { $0.failureShare = 0.2 }
        for index in 0..<5 { cluster.serve(100, failures: index == 0 ? 50 : 0, index) }
        let ejections = cluster.sweep(at: Self.second)
        #expect(ejections.map(\.index) == [0])
        #expect(ejections.map(\.reason) == [.successRate])
        #expect(cluster.ejectionsTotal(0) == 1)
    }

    @Test("what an endpoint did before it was ejected does not cover for another one")
    func ejectedMeanwhile() {
        let cluster = OutlierCluster(5)
        for index in 0..<5 { cluster.serve(100, failures: [50, 30, 0, 0, 0][index], index) }
        cluster.fail(0)
        #expect(cluster.sweep(at: Self.second).map(\.index) == [1])
    }

    @Test("each sweep judges what came since the one before")
    func reset() {
        let cluster = OutlierCluster(3)
        for index in 0..<3 { cluster.serve(40, failures: index == 0 ? 20 : 0, index) }
        #expect(cluster.sweep(at: 10 * Self.second).isEmpty)
        for index in 0..<3 { cluster.serve(40, failures: index == 0 ? 20 : 0, index) }
        #expect(cluster.sweep(at: 20 * Self.second).isEmpty)
        for index in 0..<3 { #expect(cluster.takeWindow(index) == OutlierWindow()) }
    }

    @Test("one sweep per interval, whoever asks; a timer that is a little early is in time")
    func interval() {
        let cluster = OutlierCluster(3)
        #expect(cluster.sweep(at: 10 * Self.second).isEmpty)
        #expect(cluster.nextSweep == 19 * Self.second)
        for index in 0..<3 { cluster.serve(100, failures: index == 0 ? 50 : 0, index) }
        #expect(cluster.sweep(at: 10 * Self.second).isEmpty)
        #expect(cluster.sweep(at: 19 * Self.second - 1).isEmpty)
        #expect(cluster.sweep(at: 20 * Self.second - 1).map(\.index) == [0])
        #expect(cluster.sweep(at: 20 * Self.second).isEmpty)
        #expect(!cluster.isGateHeld)
    }

    @Test("where nothing is compared nothing is counted", arguments: [true, false])
    func counts(isCompared: Bool) {
        let cluster = OutlierCluster(2) { if !isCompared { $0.successRateDeviations = nil } }
        cluster.serve(10, failures: 2, 0)
        #expect(
            cluster.takeWindow(0)
                == (isCompared ? OutlierWindow(requests: 10, failures: 2) : OutlierWindow()))
    }
}
