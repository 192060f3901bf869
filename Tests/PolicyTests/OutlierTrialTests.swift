import Testing

@testable import Policy

@Suite("Outlier trial")
struct OutlierTrialTests {
    private static let second = OutlierCluster.second
    /// When the ejection of ``ejected()`` is over.
    private static let due = 31 * second

    /// Two endpoints, of which the first was ejected after a second, for thirty.
    private static func ejected(_ change: (inout OutlierSettings) -> Void = { _ in }) -> OutlierCluster {
        let cluster = OutlierCluster(2, change)
        cluster.fail(0)
        return cluster
    }

    @Test("an endpoint that is not ejected has no trial")
    func none() {
        let cluster = OutlierCluster(2)
        #expect(!cluster.claimTrial(0, at: 100 * Self.second))
        cluster[0].outlier.releaseTrial()
        #expect(cluster.ejectedUntil(0) == nil)
        #expect(cluster.ejected == [])
    }

    @Test("the trial is claimed once, when the ejection's time is over, and the endpoint stays ejected meanwhile")
    func claim() {
        let cluster = Self.ejected()
        #expect(!cluster.claimTrial(0, at: Self.due - 1))
        #expect(cluster.claimTrial(0, at: Self.due))
        #expect(!cluster.claimTrial(0, at: Self.due))
        #expect(cluster.ejected == [0])
        #expect(cluster.ejectedUntil(0) == Self.due)
    }

    @Test("without a trial an endpoint stays ejected, however late it is")
    func noTrial() {
        let cluster = Self.ejected()
        for _ in 0..<10 { cluster.note(.grpc(0), 0, at: 1_000 * Self.second) }
        _ = cluster.sweep(at: 1_000 * Self.second)
        #expect(cluster.ejected == [0])
    }

    @Test(
        "a trial that is answered brings the endpoint back with a clean record",
        arguments: [AttemptResult.grpc(0), .grpc(5), .http(200), .http(404)])
    func success(result: AttemptResult) {
        let cluster = Self.ejected()
        #expect(cluster.claimTrial(0, at: Self.due))
        #expect(cluster.note(result, 0, at: Self.due, isTrial: true) == nil)
        #expect(cluster.ejected == [])
        #expect(cluster[0].isUsable)
        #expect(cluster.ejectedUntil(0) == nil)
        #expect(cluster.failuresInRow(0) == 0)
        #expect(cluster.takeWindow(0) == OutlierWindow())
        // It takes a whole row again.
        for _ in 0..<4 { #expect(cluster.note(.reset, 0, at: Self.due) == nil) }
        #expect(cluster.note(.reset, 0, at: Self.due)?.lasts == .seconds(60))
    }

    @Test(
        "a trial that fails ejects again, for longer, with one failure and whatever the share",
        arguments: [AttemptResult.reset, .lost, .connectFailure, .timedOut, .grpc(14), .http(503)])
    func failure(result: AttemptResult) throws {
        let before = Self.ejected()
        // A reload has lowered the share meanwhile.
        let cluster = OutlierCluster(2, state: before.cluster.state, endpoints: before.cluster.endpoints) {
            $0.maxEjectedShare = 0
        }
        // Nobody else is left: what is ejected already costs nobody anything.
        cluster[1].health.set(.unhealthy)
        #expect(cluster.claimTrial(0, at: Self.due))
        let ejection = try #require(cluster.note(result, 0, at: Self.due + 5, isTrial: true))
        #expect(ejection.reason == .trial)
        #expect(ejection.lasts == .seconds(60))
        #expect(ejection.endpoint === cluster[0])
        #expect(cluster.ejectedUntil(0) == Self.due + 5 + 60 * Self.second)
        #expect(cluster.ejectionsTotal(0) == 2)
        #expect(!cluster.claimTrial(0, at: Self.due + 60 * Self.second))
        #expect(cluster.claimTrial(0, at: Self.due + 5 + 60 * Self.second))
    }

    @Test("a trial that said nothing leaves the endpoint ejected and the next one may begin", arguments: 0...2)
    func release(way: Int) {
        let cluster = Self.ejected()
        #expect(cluster.claimTrial(0, at: Self.due + 7))
        switch way {
        case 0: cluster[0].outlier.releaseTrial()
        case 1: #expect(cluster.note(.refused, 0, at: Self.due + 9, isTrial: true) == nil)
        default: #expect(cluster.note(.abandoned, 0, at: Self.due + 9, isTrial: true) == nil)
        }
        #expect(cluster.ejected == [0])
        #expect(cluster.ejectionsTotal(0) == 1)
        // Who refuses, or is given up, is left alone for a second.
        let next = way > 0 ? Self.due + 9 + Self.second : Self.due + 9
        if way > 0 { #expect(!cluster.claimTrial(0, at: next - 1)) }
        #expect(cluster.claimTrial(0, at: next))
        #expect(!cluster.claimTrial(0, at: next))
    }

    @Test("a trial that never ends is followed by another one after a minute")
    func lease() {
        let cluster = Self.ejected()
        let lease = OutlierRecord.trialLease
        #expect(cluster.claimTrial(0, at: Self.due))
        #expect(!cluster.claimTrial(0, at: Self.due + lease - 1))
        #expect(cluster.claimTrial(0, at: Self.due + lease))
        #expect(!cluster.claimTrial(0, at: Self.due + 2 * lease - 1))
        #expect(cluster.claimTrial(0, at: Self.due + 2 * lease))
    }

    @Test("a trial whose lease has run out still has its say")
    func afterLease() {
        let cluster = Self.ejected()
        #expect(cluster.claimTrial(0, at: Self.due))
        cluster.note(.grpc(0), 0, at: Self.due + 3_600 * Self.second, isTrial: true)
        #expect(cluster.ejected == [])
    }

    @Test(
        "of two trials, one of them beyond its lease, the first that ends decides",
        arguments: [true, false], [true, false])
    func twoTrials(firstFails: Bool, secondFails: Bool) {
        let cluster = Self.ejected()
        #expect(cluster.claimTrial(0, at: Self.due))
        let again = Self.due + OutlierRecord.trialLease
        #expect(cluster.claimTrial(0, at: again))
        #expect((cluster.note(firstFails ? .reset : .grpc(0), 0, at: again, isTrial: true) != nil) == firstFails)
        let until = cluster.ejectedUntil(0)
        #expect((until == nil) == !firstFails)
        // The other one is late: it neither ends the new ejection nor begins one.
        #expect(cluster.note(secondFails ? .reset : .grpc(0), 0, at: again + 1, isTrial: true) == nil)
        #expect(cluster.ejectedUntil(0) == until)
        #expect(cluster.ejectionsTotal(0) == (firstFails ? 2 : 1))
    }

    // MARK: Streams from before

    private static let results: [AttemptResult] = [
        .grpc(0), .grpc(14), .http(200), .http(503), .reset, .lost, .connectFailure, .timedOut, .refused, .abandoned,
    ]

    @Test("streams from before the ejection change nothing about it, before, during and after a trial's claim")
    func stale() {
        let cluster = Self.ejected()
        func endAll(at now: Int64) {
            let before = (cluster.ejectedUntil(0), cluster.failuresInRow(0))
            for result in Self.results {
                for _ in 0..<20 { #expect(cluster.note(result, 0, latency: 1, at: now) == nil) }
            }
            #expect((cluster.ejectedUntil(0), cluster.failuresInRow(0)) == before)
            #expect(cluster.ejectionsTotal(0) == 1)
        }
        endAll(at: 2 * Self.second)
        endAll(at: Self.due)
        #expect(cluster.claimTrial(0, at: Self.due))
        endAll(at: Self.due)
        // The trial is still under way.
        #expect(!cluster.claimTrial(0, at: Self.due + 1))
        cluster.note(.grpc(0), 0, at: Self.due + 1, isTrial: true)
        #expect(cluster.ejected == [])
        #expect(cluster.takeWindow(0) == OutlierWindow())
    }

    // MARK: Length

    @Test("ejections double, up to the longest")
    func backOff() {
        let cluster = Self.ejected()
        var now = Self.due
        for seconds in [60, 120, 240, 300, 300, 300] as [Int64] {
            #expect(cluster.claimTrial(0, at: now))
            let ejection = cluster.note(.reset, 0, at: now, isTrial: true)
            #expect(ejection?.lasts == .seconds(seconds))
            #expect(!cluster.claimTrial(0, at: now + seconds * Self.second - 1))
            now += seconds * Self.second
        }
        #expect(cluster.ejectionsTotal(0) == 7)
    }

    private static let lengths: [(base: Duration, longest: Duration, step: Int, nanoseconds: Int64)] = [
        (.seconds(30), .seconds(300), 1, 30 * second), (.seconds(30), .seconds(300), 4, 240 * second),
        (.seconds(30), .seconds(300), 5, 300 * second), (.seconds(30), .seconds(300), .max, 300 * second),
        (.seconds(30), .seconds(10), 1, 10 * second), (.seconds(30), .zero, 3, 0), (.zero, .seconds(300), .max, 0),
        (.seconds(-1), .seconds(300), 2, 0), (.nanoseconds(1), .seconds(Int64.max), .max, 1 << 58),
        (.seconds(Int64.max), .seconds(Int64.max), 1, 1 << 58),
    ]

    @Test("an ejection's length never overflows", arguments: lengths)
    func length(base: Duration, longest: Duration, step: Int, nanoseconds: Int64) {
        var settings = OutlierSettings()
        settings.ejectionBase = base
        settings.ejectionMax = longest
        #expect(settings.ejectionLength(step: step) == nanoseconds)
    }

    @Test("every interval without an ejection takes a step back, and the steps end where the length does")
    func decay() {
        let cluster = Self.ejected { $0.interval = .seconds(10) }
        var now = Self.due
        // Steps 2 to 5, and no further: the fifth is as long as they get.
        for _ in 0..<20 {
            #expect(cluster.claimTrial(0, at: now))
            cluster.note(.reset, 0, at: now, isTrial: true)
            // Sweeps while it is ejected take nothing off.
            for tick in stride(from: now, to: now + 300 * Self.second, by: 10 * Int(Self.second)) {
                _ = cluster.sweep(at: tick)
            }
            now += 300 * Self.second
        }
        #expect(cluster.claimTrial(0, at: now))
        cluster.note(.grpc(0), 0, at: now, isTrial: true)
        // It has been back for half an interval only.
        _ = cluster.sweep(at: now + 5 * Self.second)
        now += 5 * Self.second
        for _ in 0..<3 {
            now += 10 * Self.second
            _ = cluster.sweep(at: now)
        }
        // Two of five steps are left.
        #expect(cluster.fail(0, at: now)?.lasts == .seconds(120))
        now += 120 * Self.second
        #expect(cluster.claimTrial(0, at: now))
        cluster.note(.grpc(0), 0, at: now, isTrial: true)
        for _ in 0..<10 {
            now += 10 * Self.second
            _ = cluster.sweep(at: now)
        }
        #expect(cluster.fail(0, at: now)?.lasts == .seconds(30))
    }
}
