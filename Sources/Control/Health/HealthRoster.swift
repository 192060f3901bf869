import NIOCore
import Policy

/// Whose endpoints are checked, as of the last snapshot. Confined to the loop of the checks.
final class HealthRoster {
    private let eventLoop: any EventLoop
    private let report: (CheckedEndpoint, HealthNews) -> Void
    private var checks: [ObjectIdentifier: EndpointCheck] = [:]

    /// First checks begin this far apart, so that a thousand endpoints are no thousand connects at once.
    private static let spacing = TimeAmount.milliseconds(1)

    init(eventLoop: any EventLoop, report: @escaping (CheckedEndpoint, HealthNews) -> Void) {
        self.eventLoop = eventLoop
        self.report = report
    }

    /// Endpoints that are checked.
    var count: Int { checks.count }

    /// Begins checks of what is new, ends those of what has left, and lets the others go on.
    func follow(_ snapshot: Snapshot) {
        var kept: [ObjectIdentifier: EndpointCheck] = [:]
        var delay = TimeAmount.zero
        for cluster in snapshot.clusters {
            guard let settings = cluster.settings.healthCheck else {
                for endpoint in cluster.endpoints where endpoint.health.current != .unchecked {
                    endpoint.health.set(.unchecked)
                }
                continue
            }
            for endpoint in cluster.endpoints {
                let id = ObjectIdentifier(endpoint)
                if let check = checks[id], check.subject.settings == settings {
                    kept[id] = checks.removeValue(forKey: id)
                    if endpoint.health.current == .pending { check.restate() }
                    continue
                }
                let subject = CheckedEndpoint(endpoint: endpoint, cluster: cluster.name, settings: settings)
                let check = EndpointCheck(subject, eventLoop: eventLoop, report: report)
                kept[id] = check
                check.begin(after: delay)
                delay = delay + Self.spacing
            }
        }
        for check in checks.values { check.stop() }
        checks = kept
    }

    /// Ends all checks.
    func stop() {
        for check in checks.values { check.stop() }
        checks.removeAll()
    }
}

@available(*, unavailable)
extension HealthRoster: Sendable {}
