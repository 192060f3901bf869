import Policy
import Synchronization

/// The body of `/clusters`.
enum ClusterReport {
    /// - Parameter now: nanoseconds of the monotonic clock.
    static func json(_ clusters: [ClusterStatus], now: Int64) -> JSONValue {
        .members(["clusters": .array(clusters.map { json($0, now) })])
    }

    private static func json(_ cluster: ClusterStatus, _ now: Int64) -> JSONValue {
        .members([
            "name": .string(cluster.name),
            "balance": .string(cluster.settings.balance.rawValue),
            "combine": .string(cluster.combine.rawValue),
            "endpoints": .array(zip(cluster.endpoints, cluster.traits).map { json($0, $1, now) }),
            "evicted": .array(cluster.evicted.map { .string($0.description) }),
            "evictions_total": .integer(cluster.evictions),
            "discovery": .array(cluster.sources.map(json)),
        ])
    }

    private static func json(_ endpoint: Endpoint, _ traits: EndpointTraits, _ now: Int64) -> JSONValue {
        .members([
            "address": .string(endpoint.name),
            "weight": .integer(traits.weight),
            "priority": .integer(traits.priority),
            "attributes": .object(traits.attributes.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }),
            "state": .string(EndpointState(of: endpoint).rawValue),
            "health": .string(endpoint.health.current.word),
            "health_reason": .string(orNull: endpoint.health.reason),
            "ejected": .bool(endpoint.outlier.isEjected),
            "ejected_for_seconds": .number(orNull: endpoint.outlier.ejectedUntil.map { secondsLeft(until: $0, now) }),
            "ejections_total": .integer(endpoint.outlier.ejectionsTotal),
            "failures_in_row": .integer(endpoint.outlier.failuresInRow),
            "active_streams": .integer(endpoint.activeStreams.load(ordering: .relaxed)),
            "streams_total": .integer(endpoint.streamsTotal.load(ordering: .relaxed)),
            "failures_total": .integer(endpoint.failuresTotal.load(ordering: .relaxed)),
            "connections": .integer(endpoint.connections.load(ordering: .relaxed)),
        ])
    }

    private static func json(_ status: SourceStatus) -> JSONValue {
        .members([
            "source": .string(status.source.description),
            "addresses": .integer(status.addressCount),
            "truncated": .bool(status.coverage?.isTruncated ?? false),
            "known": .integer(status.coverage?.known ?? status.addressCount),
            "estimated": .number(orNull: status.coverage?.estimated.map(rounded)),
            "estimated_error": .number(orNull: status.coverage?.error.map(rounded)),
            "coverage": .number(orNull: status.coverage?.share.map(rounded)),
            "samples": .integer(status.coverage?.samples ?? 0),
            "age_seconds": .number(orNull: status.lastSuccessAge?.inSeconds),
            "ttl_seconds": .number(orNull: status.ttl?.inSeconds),
            "failing": .bool(status.isFailing),
            "last_failure": .string(orNull: status.lastFailure),
            "answers_total": .integer(status.answers),
            "failures_total": .integer(status.failures),
        ])
    }

    /// Zero where a trial is due or under way.
    private static func secondsLeft(until time: Int64, _ now: Int64) -> Double {
        rounded(Double(max(time - now, 0)) / 1e9)
    }

    /// To the thousandth, which is more than an estimate knows.
    private static func rounded(_ value: Double) -> Double { (value * 1_000).rounded() / 1_000 }
}
