import FoundationEssentials

/// The body of `/clusters/{name}/timeline`.
enum TimelineReport {
    static func json(_ timeline: Timeline, cluster: String) -> JSONValue {
        .members([
            "cluster": .string(cluster),
            "events": .array(timeline.entries.map(json)),
        ])
    }

    private static func json(_ entry: Timeline.Entry) -> JSONValue {
        .members([
            "time": .string(text(entry.time)),
            "last_time": .string(text(entry.lastTime)),
            "count": .integer(entry.count),
            "kind": .string(entry.event.kind.rawValue),
            "source": .string(orNull: entry.source),
            "text": .string(entry.event.text),
        ])
    }

    /// `2026-11-21T05:04:09.120Z` (RFC 3339).
    private static func text(_ time: Date) -> String {
        time.formatted(
            .iso8601.year().month().day().time(includingFractionalSeconds: true).timeZone(separator: .omitted))
    }
}
