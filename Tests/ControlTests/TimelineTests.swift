import FoundationEssentials
import Testing

@testable import Control

@Suite("The timeline of a cluster")
struct TimelineTests {
    private func time(_ seconds: Double) -> Date { Date(timeIntervalSince1970: seconds) }

    @Test("repetitions are told once, with how often and until when; answers and their misses come in pairs")
    func repetitions() {
        var timeline = Timeline()
        let answer = DiscoveryEvent(.answer, "8 addresses")
        func append(_ event: DiscoveryEvent, _ source: String, _ seconds: Double) -> Bool {
            timeline.append(event, source: source, at: time(seconds))
        }
        #expect(append(answer, "dns://a:1", 1))
        #expect(append(.init(.missed, "10.0.0.1"), "dns://a:1", 1))
        #expect(!append(answer, "dns://a:1", 2))
        #expect(!append(.init(.missed, "10.0.0.1 (twice)"), "dns://a:1", 2))
        #expect(append(answer, "dns://b:1", 3))
        #expect(!append(answer, "dns://a:1", 3))
        #expect(timeline.entries.map(\.count) == [3, 2, 1])
        #expect(timeline.entries[1].event.text == "10.0.0.1 (twice)")
        #expect(timeline.entries[0].time == time(1))
        #expect(timeline.entries[0].lastTime == time(3))
        #expect(append(.init(.failed, "SERVFAIL"), "dns://a:1", 4))
        #expect(append(.init(.recovered, "answers again"), "dns://a:1", 5))
        // After something else it is news again.
        #expect(append(answer, "dns://a:1", 6))
    }

    @Test("it keeps the last two hundred")
    func bound() {
        var timeline = Timeline()
        for index in 0..<1_000 {
            timeline.append(.init(.answer, "\(index) addresses"), source: nil, at: time(Double(index)))
        }
        #expect(timeline.entries.count == Timeline.capacity)
        #expect(timeline.entries.first?.event.text == "800 addresses")
        #expect(timeline.entries.last?.event.text == "999 addresses")
    }

    @Test("the report is JSON with RFC 3339 times")
    func report() {
        var timeline = Timeline()
        timeline.append(.init(.expired, "10.0.0.1: \"gone\""), source: "dns://a:1", at: time(1_793_000_000.5))
        timeline.append(.init(.added, "10.0.0.2"), source: nil, at: time(1_793_000_001))
        let text = TimelineReport.json(timeline, cluster: "users").rendered(isCompact: true)
        #expect(
            text == """
                {"cluster": "users", "events": [{"time": "2026-10-26T07:33:20.500Z", \
                "last_time": "2026-10-26T07:33:20.500Z", "count": 1, "kind": "expired", "source": "dns://a:1", \
                "text": "10.0.0.1: \\"gone\\""}, {"time": "2026-10-26T07:33:21.000Z", \
                "last_time": "2026-10-26T07:33:21.000Z", "count": 1, "kind": "added", "source": null, \
                "text": "10.0.0.2"}]}
                """)
    }
}
