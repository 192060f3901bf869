import Policy

/// What an update did to a cluster, and how the log tells it.
struct MembershipChange: Sendable, Equatable {
    let cluster: String
    let added: [EndpointAddress]
    let removed: [EndpointAddress]
    /// Those of ``removed`` that left on evidence: nobody could reach them, and the latest answer did not name them.
    let evicted: [EndpointAddress]
    let endpointCount: Int
    let previousResolution: Cluster.Resolution
    let resolution: Cluster.Resolution

    /// `cluster users: +10.0.0.4:50051 -10.0.0.2:50051 (3 endpoints, ttl 5s)`; nil when no endpoint came or went.
    func membershipLine(ttl: Duration?) -> String? {
        guard !added.isEmpty || !removed.isEmpty else { return nil }
        let changes = added.map { "+\($0)" } + removed.map { "-\($0)" }
        let ttl = ttl.map { ", ttl \($0.components.seconds)s" } ?? ""
        return "cluster \(cluster): \(Self.list(changes)) (\(countText)\(ttl))"
    }

    /// What the cluster's timeline gets.
    var events: [DiscoveryEvent] {
        var events: [DiscoveryEvent] = []
        if !added.isEmpty { events.append(.init(.added, "\(Self.list(added.map(\.description))) (\(countText))")) }
        let left = removed.filter { !evicted.contains($0) }
        if !left.isEmpty { events.append(.init(.expired, "\(Self.list(left.map(\.description))) (\(countText))")) }
        if !evicted.isEmpty {
            events.append(
                .init(
                    .expired,
                    "\(Self.list(evicted.map(\.description))): cannot be reached, and not in the latest answer "
                        + "(\(countText))"))
        }
        return events
    }

    /// `cluster users: SERVFAIL for users.local from 10.0.0.2:53; keeping 3 endpoints`; nil when resolution has not
    /// begun to fail, or to fail otherwise than before.
    var failureLine: String? {
        guard case .failed(let reason) = resolution, resolution != previousResolution else { return nil }
        return endpointCount > 0
            ? "cluster \(cluster): \(reason); keeping \(countText)" : "cluster \(cluster): \(reason); no endpoint yet"
    }

    /// `cluster users: resolved again (3 endpoints)`; nil when it had not failed.
    var recoveryLine: String? {
        guard case .failed = previousResolution, resolution == .resolved else { return nil }
        return "cluster \(cluster): resolved again (\(countText))"
    }

    /// A line of a thousand addresses helps nobody.
    private static let changesShown = 20

    private static func list(_ items: [String]) -> String {
        let more = items.count > changesShown ? " and \(items.count - changesShown) more" : ""
        return items.prefix(changesShown).joined(separator: " ") + more
    }

    private var countText: String { endpointCount == 1 ? "1 endpoint" : "\(endpointCount) endpoints" }
}
