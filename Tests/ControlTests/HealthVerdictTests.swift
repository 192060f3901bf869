import Policy
import TestSupport
import Testing

@Suite("The verdict of health checks")
struct HealthVerdictTests {
    /// `+` passed, `-` failed, `?` inconclusive; `S` and `N`: said unasked.
    private func run(_ results: String, from state: EndpointHealth.State = .pending) -> String {
        var settings = HealthCheckSettings()
        (settings.healthyThreshold, settings.unhealthyThreshold) = (2, 3)
        var verdict = HealthVerdict(state: state)
        var states = ""
        for result in results {
            switch result {
            case "+": _ = verdict.take(.passed, settings)
            case "-": _ = verdict.take(.failed("NOT_SERVING"), settings)
            case "?": _ = verdict.take(.inconclusive("out of file descriptors"), settings)
            case "S": _ = verdict.take(.passed, isStatement: true, settings)
            default: _ = verdict.take(.failed("NOT_SERVING"), isStatement: true, settings)
            }
            switch verdict.state {
            case .unchecked: states += "?"
            case .pending: states += "."
            case .healthy: states += "+"
            case .unhealthy: states += "-"
            }
        }
        return states
    }

    @Test(
        "the first result decides alone, later ones take two to be well and three to be ill",
        arguments: [
            ("+", "+"), ("-", "-"), ("?", "."), ("??-", "..-"),
            ("+---", "+++-"), ("-++", "--+"),
            ("+--+--+---", "+++++++++-"), ("-+-+-++", "------+"),
            ("+-?--", "++++-"), ("+++", "+++"),
            ("+N", "+-"), ("-S", "-+"), ("+--N", "+++-"), ("NSNS", "-+-+"), ("+NS", "+-+"),
        ])
    func sequences(results: String, states: String) {
        #expect(run(results) == states)
    }

    @Test(
        "checks that cannot be made are failures while nothing else is known, and the first result decides alone",
        arguments: [
            ("???", "..-"), ("??+", "..+"), ("?????", "..---"), ("???+", "..-+"), ("???-++", "..---+"),
            ("+?????", "++++++"), ("-?????++", "-------+"),
        ])
    func obstacles(results: String, states: String) {
        #expect(run(results) == states)
        #expect(run("??????", from: .unchecked) == "??????")
        #expect(run("??????", from: .healthy) == "++++++")
    }

    @Test("one that waits for its first result says why it could not be checked, and so does the verdict on it")
    func obstacleReasons() {
        var settings = HealthCheckSettings()
        settings.unhealthyThreshold = 2
        var verdict = HealthVerdict(state: .pending)
        #expect(verdict.take(.inconclusive("out of memory"), settings) == nil)
        #expect(verdict.reason == "out of memory")
        let ill = verdict.take(.inconclusive("network unreachable"), settings)
        #expect(ill?.state == .unhealthy)
        #expect(ill?.reason == "network unreachable")
        #expect(ill?.checks == 2)
        #expect(ill?.isFirst == true)
        #expect(!verdict.isDecided)
        let well = verdict.take(.passed, settings)
        #expect(well?.checks == 1)
        #expect(verdict.reason == nil)
        #expect(verdict.take(.inconclusive("out of memory"), settings) == nil)
        #expect(verdict.reason == nil)
        var inUse = HealthVerdict(state: .unchecked)
        #expect(inUse.take(.inconclusive("out of memory"), settings) == nil)
        #expect(inUse.reason == nil)
    }

    @Test("an endpoint in use stays so until its first result, which decides alone")
    func inUse() {
        #expect(run("?+", from: .unchecked) == "?+")
        #expect(run("?-", from: .unchecked) == "?-")
    }

    @Test("settings that change begin anew without forgetting the verdict, which takes as many results as ever")
    func decidedBefore() {
        #expect(run("---", from: .healthy) == "++-")
        #expect(run("+---", from: .healthy) == "+++-")
        #expect(run("++", from: .unhealthy) == "-+")
        #expect(run("N", from: .healthy) == "-")
    }

    @Test("the last failure says why an endpoint is ill, and none does when it is well")
    func reasons() {
        let settings = HealthCheckSettings()
        var verdict = HealthVerdict(state: .unhealthy, reason: "connection refused")
        #expect(verdict.reason == "connection refused")
        _ = verdict.take(.failed("NOT_SERVING"), settings)
        #expect(verdict.reason == "NOT_SERVING")
        _ = verdict.take(.inconclusive("out of memory"), settings)
        _ = verdict.take(.passed, settings)
        #expect(verdict.reason == "NOT_SERVING")
        _ = verdict.take(.passed, settings)
        #expect(verdict.reason == nil)
        _ = verdict.take(.failed("NOT_SERVING"), settings)
        #expect(verdict.reason == nil)
    }

    @Test("a change tells the last reason and how many checks it took")
    func changes() {
        var settings = HealthCheckSettings()
        (settings.healthyThreshold, settings.unhealthyThreshold) = (1, 2)
        var verdict = HealthVerdict(state: .pending)
        let first = verdict.take(.passed, settings)
        #expect(first?.state == .healthy)
        #expect(first?.isFirst == true)
        #expect(verdict.take(.failed("connection refused"), settings) == nil)
        let ill = verdict.take(.failed("NOT_SERVING"), settings)
        #expect(ill?.state == .unhealthy)
        #expect(ill?.reason == "NOT_SERVING")
        #expect(ill?.checks == 2)
        #expect(ill?.isFirst == false)
        let well = verdict.take(.passed, settings)
        #expect(well?.state == .healthy)
        #expect(well?.reason == nil)
        #expect(well?.checks == 1)
    }
}

@Suite("The pace of health checks")
struct HealthPaceTests {
    private let settings = {
        var settings = HealthCheckSettings()
        (settings.interval, settings.jitter) = (.seconds(10), 0.1)
        return settings
    }()

    @Test("checks begin an interval apart, spread over a tenth of it either way")
    func jitter() {
        var random = SeededGenerator(seed: 1)
        let second: Int64 = 1_000_000_000
        let pauses = (0..<1_000).map { _ in
            HealthPace.pause(since: 5 * second, now: 6 * second, settings, using: &random)
        }
        #expect(pauses.allSatisfy { (8 * second...10 * second).contains($0) })
        // Even over the range: each fifth has its share.
        for fifth in 0..<5 {
            let low = 8 * second + Int64(fifth) * 2 * second / 5
            let share = pauses.count { (low..<low + 2 * second / 5).contains($0) }
            #expect((150...250).contains(share))
        }
    }

    @Test("checks that take longer than the interval follow each other at once")
    func slow() {
        var random = SeededGenerator(seed: 1)
        #expect(HealthPace.pause(since: 0, now: 60_000_000_000, settings, using: &random) == 0)
    }

    @Test(
        "a Watch that breaks is opened again soon, then ever later, up to the interval",
        arguments: [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (100, 10)])
    func reopening(failures: Int, seconds: Int) {
        var random = SeededGenerator(seed: 1)
        let pauses = (0..<100).map { _ in HealthPace.reopenPause(failures: failures, settings, using: &random) }
        let expected = 900_000_000 * Int64(seconds)...1_100_000_000 * Int64(seconds)
        #expect(pauses.filter { !expected.contains($0) } == [])
    }

    @Test("without jitter the pause is exact")
    func exact() {
        var random = SeededGenerator(seed: 1)
        var settings = settings
        settings.jitter = 0
        #expect(HealthPace.pause(since: 0, now: 0, settings, using: &random) == 10_000_000_000)
    }
}

@Suite("Messages of the health service")
struct HealthMessageTests {
    @Test("a message tells its length once its prefix is complete")
    func lengths() {
        #expect(HealthMessage.messageBytes([0, 0, 0, 0]) == nil)
        #expect(HealthMessage.messageBytes([0, 0, 0, 1, 2]) == 263)
        #expect(HealthMessage.status(in: [0, 0, 0, 0, 2, 8, 2]) == .notServing)
        #expect(HealthMessage.status(in: [0, 0, 0, 0, 0]) == .unknown)
        #expect(HealthMessage.status(in: [1, 0, 0, 0, 2, 8, 1]) == nil)
        #expect(HealthMessage.status(in: [0, 0, 0, 0, 2, 8]) == nil)
    }
}
