import Foundation
import Testing

/// What `/clusters` says about one cluster. Only here the names of its fields are known.
struct DiscoveryReading: Decodable, Sendable {
    var name: String
    var endpoints: [EndpointReading]
    var discovery: [SourceReading]

    struct EndpointReading: Decodable, Sendable {
        var address: String
        var state: String
    }

    struct SourceReading: Decodable, Sendable {
        var source: String
        var known: Int?
        var estimated: Double?
        var coverage: Double?
        var truncated: Bool?
        var failing: Bool?
        var last_failure: String?
    }

    /// Those that the cluster has, without their ports.
    var hosts: Set<String> {
        Set(
            endpoints.map { endpoint in
                let host = endpoint.address.split(separator: ":").dropLast().joined(separator: ":")
                return endpoint.address.hasPrefix("[") ? Self.literal(endpoint.address) : host
            })
    }

    /// The address between the brackets of `[fd00::1]:50051`.
    private static func literal(_ address: String) -> String {
        String(address.dropFirst().prefix { $0 != "]" })
    }
}

extension EkidenProcess {
    func discovery(_ cluster: String) async throws -> DiscoveryReading {
        struct Page: Decodable { var clusters: [DiscoveryReading] }
        let answer = try await get("/clusters")
        let page = try JSONDecoder().decode(Page.self, from: Data(answer.body.utf8))
        guard let reading = page.clusters.first(where: { $0.name == cluster }) else {
            throw HarnessError("/clusters knows no '\(cluster)': \(answer.body)")
        }
        return reading
    }

    /// Returns when the cluster has just these endpoints.
    func awaitHosts(_ hosts: [String], in cluster: String, within limit: Duration) async throws {
        do {
            try await poll(within: limit, "the endpoints \(hosts) of '\(cluster)'") {
                try await discovery(cluster).hosts == Set(hosts)
            }
        } catch {
            throw HarnessError("\(error)\n\(await story(cluster))")
        }
    }

    /// As `#expect`; when it does not hold, it is told what the calls went through and what the cluster did.
    func expect(
        _ holds: Bool, _ what: String = "", of cluster: String, _ log: CallLog = CallLog(), since origin: Double? = nil,
        at location: SourceLocation = #_sourceLocation
    ) async {
        if holds { return }
        Issue.record("\(what)\n\(log.story(since: origin))\n\(await story(cluster))", sourceLocation: location)
    }

    /// For a failed test: what the cluster has, and how it came to it.
    func story(_ cluster: String) async -> String {
        let timeline = try? await get("/clusters/\(cluster)/timeline")
        let now = (try? await discovery(cluster)).map { "\($0)" }
        return "now: \(now ?? "unknown")\ntimeline: \(timeline?.body ?? "none")"
    }
}
