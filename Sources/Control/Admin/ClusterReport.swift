import Policy
import Synchronization

/// The body of `/clusters`.
enum ClusterReport {
    static func json(_ clusters: [ClusterStatus]) -> JSONValue {
        ["clusters": .array(clusters.map { json($0) })]
    }

    private static func json(_ cluster: ClusterStatus) -> JSONValue {
        [
            "name": .string(cluster.name),
            "balance": .string(cluster.settings.balance.rawValue),
            "endpoints": .array(cluster.endpoints.map { json($0) }),
            "discovery": .array(cluster.sources.map(json)),
        ]
    }

    private static func json(_ endpoint: Endpoint) -> JSONValue {
        [
            "address": .string(endpoint.name),
            "state": .string(EndpointState(of: endpoint).rawValue),
            "active_streams": .integer(endpoint.activeStreams.load(ordering: .relaxed)),
            "streams_total": .integer(endpoint.streamsTotal.load(ordering: .relaxed)),
            "failures_total": .integer(endpoint.failuresTotal.load(ordering: .relaxed)),
            "connections": .integer(endpoint.connections.load(ordering: .relaxed)),
        ]
    }

    private static func json(_ status: SourceStatus) -> JSONValue {
        [
            "source": .string(status.source.description),
            "addresses": .integer(status.addressCount),
            "age_seconds": .number(orNull: status.lastSuccessAge?.inSeconds),
            "ttl_seconds": .number(orNull: status.ttl?.inSeconds),
            "failing": .bool(status.isFailing),
            "last_failure": .string(orNull: status.lastFailure),
            "answers_total": .integer(status.answers),
            "failures_total": .integer(status.failures),
        ]
    }
}
