import Policy
import Testing

@testable import Control

@Suite("The gate of the first check")
struct HealthGateTests {
    private func discovered(_ hosts: String...) -> DiscoveredMembers {
        var discovered = DiscoveredMembers()
        for host in hosts {
            discovered.add(
                EndpointAddress(host: host, port: 1), .init(traits: EndpointTraits(), isConfirmed: true))
        }
        return discovered
    }

    @Test("a new endpoint of a checked cluster waits for its first check; one in use does not")
    func membership() throws {
        let rule = ClusterRule(name: "users", discover: [.dns(name: "users.local", port: 1)])
        var membership = ClusterMembership(rule: rule, keys: [], id: 1, reportUnreachable: { _, _ in })
        func update(_ settings: ClusterSettings, _ discovered: DiscoveredMembers) -> [EndpointHealth.State] {
            _ = membership.update(settings: settings, discovered: discovered, now: .zero)
            return membership.cluster.endpoints.map(\.verdict)
        }
        let plain = ClusterSettings()
        var checked = ClusterSettings()
        checked.healthCheck = HealthCheckSettings()
        #expect(update(plain, discovered("10.0.0.1", "10.0.0.2")) == [.unchecked, .unchecked])
        #expect(update(checked, discovered("10.0.0.1", "10.0.0.2")) == [.unchecked, .unchecked])
        #expect(update(checked, discovered("10.0.0.1", "10.0.0.2", "10.0.0.3")) == [.unchecked, .unchecked, .pending])
        for endpoint in membership.cluster.endpoints { endpoint.health.set(.unhealthy) }
        // What was known of one that comes back is out of date.
        #expect(update(checked, discovered("10.0.0.1")) == [.unhealthy])
        #expect(update(checked, discovered("10.0.0.1", "10.0.0.2")) == [.unhealthy, .pending])
        #expect(update(plain, discovered("10.0.0.1")) == [.unhealthy])
        #expect(update(plain, discovered("10.0.0.1", "10.0.0.3")) == [.unhealthy, .unchecked])
    }
}
