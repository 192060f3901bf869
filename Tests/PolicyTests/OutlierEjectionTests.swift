import Synchronization
import Testing

@testable import Policy

@Suite("Outlier ejection")
struct OutlierEjectionTests {
    private static let second = OutlierCluster.second

    // MARK: What counts

    private static let verdicts: [(result: AttemptResult, verdict: AttemptResult.Verdict)] = [
        (.reset, .failure), (.lost, .failure), (.connectFailure, .failure), (.timedOut, .failure),
        (.refused, .neutral), (.abandoned, .neutral),
        (.grpc(0), .success), (.grpc(2), .failure), (.grpc(13), .failure), (.grpc(14), .failure),
        (.grpc(15), .failure),
        // The caller's fault, or its deadline, or a quota: the task did its work.
        (.grpc(1), .success), (.grpc(3), .success), (.grpc(4), .success), (.grpc(5), .success), (.grpc(6), .success),
        (.grpc(7), .success), (.grpc(8), .success), (.grpc(9), .success), (.grpc(10), .success),
        (.grpc(11), .success), (.grpc(12), .success), (.grpc(16), .success),
        // Codes that gRPC does not know are UNKNOWN.
        (.grpc(17), .failure), (.grpc(-1), .failure), (.grpc(4_711), .failure),
        (.http(200), .success), (.http(304), .success), (.http(404), .success), (.http(429), .success),
        (.http(500), .success), (.http(501), .success), (.http(502), .failure), (.http(503), .failure),
        (.http(504), .failure),
    ]

    @Test("a result says what it says about the endpoint", arguments: verdicts)
    func verdict(result: AttemptResult, verdict: AttemptResult.Verdict) {
        #expect(result.verdict(under: OutlierSettings()) == verdict)
    }

    @Test("which statuses are failures is a matter of the settings")
    func verdictOfSettings() {
        var settings = OutlierSettings()
        settings.grpcStatuses = [.aborted]
        settings.httpStatuses = [500]
        #expect(AttemptResult.grpc(10).verdict(under: settings) == .failure)
        #expect(AttemptResult.grpc(14).verdict(under: settings) == .success)
        #expect(AttemptResult.grpc(99).verdict(under: settings) == .success)
        #expect(AttemptResult.http(500).verdict(under: settings) == .failure)
        #expect(AttemptResult.http(503).verdict(under: settings) == .success)
        #expect(AttemptResult.reset.verdict(under: settings) == .failure)
    }

    // MARK: Failures in a row

    @Test("the failure that completes the row ejects, and no earlier one", arguments: [1, 2, 5, 9])
    func consecutive(threshold: Int) throws {
        let cluster = OutlierCluster(2) { $0.consecutiveFailures = threshold }
        for failure in 1..<threshold {
            #expect(cluster.note(.grpc(14), 0) == nil)
            #expect(cluster.failuresInRow(0) == failure)
        }
        #expect(cluster.ejected == [])
        let ejection = try #require(cluster.note(.timedOut, 0))
        #expect(ejection.endpoint === cluster[0])
        #expect(ejection.reason == .consecutiveFailures)
        #expect(ejection.lasts == .seconds(30))
        #expect(cluster.ejected == [0])
        #expect(cluster.ejectedUntil(0) == 31 * Self.second)
        #expect(cluster.ejectionsTotal(0) == 1)
        #expect(cluster.failuresInRow(0) == threshold)
        #expect(!cluster[0].isUsable)
    }

    @Test(
        "a success ends the row, what says nothing does not",
        arguments: [
            (AttemptResult.grpc(0), false), (.grpc(5), false), (.http(404), false), (.refused, true),
            (.abandoned, true),
        ])
    func row(between: AttemptResult, isEjected: Bool) {
        let cluster = OutlierCluster(2)
        for _ in 0..<4 { cluster.note(.lost, 0) }
        cluster.note(between, 0)
        cluster.note(.lost, 0)
        #expect(cluster.ejected == (isEjected ? [0] : []))
        #expect(cluster.failuresInRow(0) == (isEjected ? 5 : 1))
    }

    @Test("failures of one endpoint are not those of another")
    func apart() {
        let cluster = OutlierCluster(3)
        for _ in 0..<4 {
            for index in 0..<3 { cluster.note(.reset, index) }
        }
        #expect(cluster.ejected == [])
    }

    @Test("zero failures in a row eject nobody")
    func consecutiveOff() {
        let cluster = OutlierCluster(3) { $0.consecutiveFailures = 0 }
        #expect(cluster.fail(0) == nil)
        #expect(cluster.ejected == [])
    }

    @Test("where outliers are not looked for nothing is counted and nobody is ejected")
    func disabled() {
        let cluster = OutlierCluster(5) {
            $0.isEnabled = false
            $0.failureShare = 0.1
        }
        #expect(cluster.fail(0) == nil)
        #expect(cluster.sweep(at: 100 * Self.second).isEmpty)
        #expect(cluster.ejected == [])
        #expect(cluster.failuresInRow(0) == 0)
        #expect(cluster.takeWindow(0) == OutlierWindow())
        #expect(cluster.nextSweep == 0)
    }

    @Test("when looking for outliers is switched off, what is ejected comes back", arguments: [true, false])
    func switchedOff(byTrial: Bool) {
        let before = OutlierCluster(2)
        before.fail(0)
        let after = OutlierCluster(2, state: before.cluster.state, endpoints: before.cluster.endpoints) {
            $0.isEnabled = false
        }
        if byTrial {
            #expect(after.claimTrial(0, at: 31 * Self.second))
            #expect(after.note(.reset, 0, at: 31 * Self.second, isTrial: true) == nil)
        } else {
            #expect(after.sweep(at: 2 * Self.second).isEmpty)
        }
        #expect(after.ejected == [])
        #expect(after.failuresInRow(0) == 0)
    }

    // MARK: How many

    private static let maxima: [(count: Int, share: Double, ejected: Int)] = [
        (1, 0.5, 0), (1, 1, 0), (2, 0.5, 1), (2, 1, 1), (2, 0, 0), (3, 0.5, 1), (3, 0.7, 2), (3, 1, 2), (4, 0.5, 2),
        (4, 0.25, 1), (4, 0.1, 1), (4, 0, 0), (5, 0.5, 2), (5, 0.6, 3), (5, 1, 4), (10, 0.5, 5), (10, 0.3, 3),
        (10, 0.7, 7), (10, 0.29, 2), (100, 0.29, 29), (10, 7, 9), (10, -1, 0), (10, 1, 9),
    ]

    @Test("of so many endpoints so many are ejected at most, and never the last", arguments: maxima)
    func share(count: Int, share: Double, ejected: Int) {
        let cluster = OutlierCluster(count) { $0.maxEjectedShare = share }
        for index in 0..<count { cluster.fail(index) }
        #expect(cluster.ejected == Array(0..<ejected))
        // The row of those that were spared goes on.
        for index in ejected..<count { #expect(cluster.failuresInRow(index) == 100) }
    }

    enum Ill: CaseIterable {
        case unreachable, unhealthy, pending
    }

    @Test("the last endpoint that takes streams stays, whatever keeps the others from it", arguments: Ill.allCases)
    func last(ill: Ill) {
        let cluster = OutlierCluster(5) { $0.maxEjectedShare = 1 }
        for index in 1..<5 {
            switch ill {
            case .unreachable: cluster[index].recordUnreachable(now: 0, base: 1, ceiling: 1)
            case .unhealthy: cluster[index].health.set(.unhealthy)
            case .pending: cluster[index].health.set(.pending)
            }
        }
        #expect(cluster.fail(0) == nil)
        #expect(cluster.ejected == [])
        // One of the others is well again: the next failure ejects.
        cluster[3].recordReached()
        cluster[3].health.set(.healthy)
        #expect(cluster.note(.reset, 0)?.reason == .consecutiveFailures)
        #expect(cluster.fail(3) == nil)
    }

    @Test("when one comes back, the next failure of one that was spared ejects it")
    func makesRoom() {
        let cluster = OutlierCluster(2)
        cluster.fail(0)
        #expect(cluster.fail(1) == nil)
        #expect(cluster.claimTrial(0, at: 31 * Self.second))
        cluster.note(.grpc(0), 0, at: 31 * Self.second, isTrial: true)
        #expect(cluster.note(.reset, 1, at: 32 * Self.second) != nil)
        #expect(cluster.ejected == [1])
    }

    @Test("settings that change are followed by ejections that are under way")
    func adapts() {
        let state = ClusterState(id: 1)
        let cluster = OutlierCluster(3, state: state) { $0.ejectionBase = .seconds(60) }
        let endpoints = cluster.cluster.endpoints
        func adapted(at now: Int64, _ change: (inout OutlierSettings) -> Void) -> OutlierCluster {
            let changed = OutlierCluster(3, state: state, endpoints: endpoints, change)
            OutlierDetector.adapt(changed.cluster, now: now)
            return changed
        }
        cluster.fail(0)
        #expect(adapted(at: 2 * Self.second) { $0.ejectionMax = .seconds(300) }.ejectedUntil(0) == 61 * Self.second)
        #expect(adapted(at: 2 * Self.second) { $0.ejectionMax = .seconds(5) }.ejectedUntil(0) == 7 * Self.second)
        // A trial that is under way has its outcome.
        #expect(cluster.claimTrial(0, at: 7 * Self.second))
        #expect(adapted(at: 8 * Self.second) { $0.ejectionMax = .seconds(1) }.ejected == [0])
        #expect(adapted(at: 9 * Self.second) { $0.maxEjectedShare = 0 }.ejected == [])
        cluster.fail(0, at: 10 * Self.second)
        #expect(adapted(at: 11 * Self.second) { $0.isEnabled = false }.ejected == [])
    }

    @Test("an endpoint is silent when nobody had an answer for so long since one was first missed")
    func silence() {
        let record = OutlierRecord()
        func isSilent(_ second: Int64) -> Bool { record.noteMissed(for: Self.second, now: second * Self.second) }
        let before = [isSilent(5), isSilent(5), isSilent(6)]
        #expect(before == [false, false, true])
        record.noteAnswer()
        // That nobody asked is no silence.
        let after = [isSilent(100), isSilent(100), isSilent(101)]
        #expect(after == [false, false, true])
    }

    @Test("while another worker ejects nobody else does, and nothing is lost")
    func gate() {
        let cluster = OutlierCluster(4)
        cluster.cluster.state.ejectionGate.store(true, ordering: .relaxed)
        #expect(cluster.fail(0) == nil)
        #expect(cluster.sweep(at: Self.second).isEmpty)
        #expect(cluster.nextSweep == 0)
        cluster.cluster.state.ejectionGate.store(false, ordering: .relaxed)
        #expect(cluster.note(.reset, 0) != nil)
        #expect(!cluster.isGateHeld)
    }

    @Test("an endpoint that is no member any more is not ejected")
    func removed() {
        let cluster = OutlierCluster(3)
        let gone = Endpoint(address: EndpointAddress(host: "10.0.0.9", port: 1))
        for _ in 0..<100 {
            let ejection = OutlierDetector.note(
                .reset, latency: nil, of: gone, in: cluster.cluster, now: Self.second)
            #expect(ejection == nil)
        }
        #expect(gone.isUsable)
    }
}
