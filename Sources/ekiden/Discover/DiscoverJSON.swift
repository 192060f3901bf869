import Control
import DNS
import FoundationEssentials
import Policy

/// What was seen as a JSON object, for scripts.
struct DiscoverJSON: DiscoverView {
    /// One object per line.
    var isCompact = false

    func text(of sight: DiscoverSight) -> String {
        let report = sight.report
        let coverage = sight.coverage
        let value: JSONValue = .members([
            "time": .string(WallClock.now.formatted(.iso8601)),
            "source": .string(sight.source.description),
            "endpoints": .array(sight.endpoints.map { Self.json($0, sight) }),
            "truncated": .bool(coverage?.isTruncated ?? false),
            "known": .integer(coverage?.known ?? sight.endpoints.count),
            "estimated": .number(orNull: coverage?.estimated),
            "estimated_error": .number(orNull: coverage?.error),
            "coverage": .number(orNull: coverage?.share),
            "failure": .string(orNull: report.failure),
            "queries": .array(report.attempts.map(Self.json)),
            "events": .array(
                report.events.map { .members(["kind": .string($0.kind.rawValue), "text": .string($0.text)]) }),
        ])
        return value.rendered(isCompact: isCompact) + "\n"
    }

    private static func json(_ endpoint: DiscoveredEndpoint, _ sight: DiscoverSight) -> JSONValue {
        .members([
            "address": .string(sight.address(endpoint)),
            "weight": .integer(endpoint.traits.weight),
            "priority": .integer(endpoint.traits.priority),
            "attributes": .object(
                endpoint.traits.attributes.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }),
            "in_latest_answer": .bool(endpoint.isConfirmed),
        ])
    }

    private static func json(_ attempt: DNSAttempt) -> JSONValue {
        var ttl: UInt32?
        var records: [JSONValue] = []
        switch attempt.result {
        case .success(let answer):
            ttl = answer.ttl
            records = answer.records.map { record in
                .members([
                    "name": .string(record.name.description), "type": .string(record.type.description),
                    "ttl": .integer(Int(record.ttl)), "data": .string(record.data.description),
                ])
            }
        case .failure(let failure):
            ttl = failure.negativeTTL
        }
        return .members([
            "server": .string(orNull: attempt.server?.description),
            "name": .string(attempt.name.description),
            "type": .string(attempt.type.description),
            "result": .string(DiscoverWords.outcome(attempt)),
            "ttl": .number(orNull: ttl.map(Double.init)),
            "milliseconds": .number(attempt.elapsed / .milliseconds(1)),
            "records": .array(records),
        ])
    }
}
