import Policy
import Synchronization
import Testing

@testable import Control

@Suite("The membership of a cluster")
struct ClusterMembershipTests {
    private let rule = ClusterRule(name: "users", discover: [.dns(name: "users.local", port: 1)])

    private func membership() -> ClusterMembership {
        ClusterMembership(rule: rule, keys: [], id: 1, reportUnreachable: { _, _ in })
    }

    /// Last parts of addresses; negative ones are kept from earlier answers.
    private func discovered(_ hosts: Int..., traits: [Int: EndpointTraits] = [:]) -> DiscoveredMembers {
        var discovered = DiscoveredMembers()
        for host in hosts {
            discovered.add(
                address(abs(host)), .init(traits: traits[abs(host)] ?? EndpointTraits(), isConfirmed: host > 0))
        }
        return discovered
    }

    private func address(_ host: Int) -> EndpointAddress { EndpointAddress(host: "10.0.0.\(host)", port: 1) }

    @discardableResult
    private func update(
        _ membership: inout ClusterMembership, _ discovered: DiscoveredMembers, now: Duration = .zero
    ) -> MembershipChange? {
        membership.update(settings: rule.settings, discovered: discovered, now: now)
    }

    private func hosts(_ membership: ClusterMembership) -> [String] {
        membership.cluster.endpoints.map { String($0.address.host.dropFirst("10.0.0.".count)) }
    }

    private func endpoint(_ membership: ClusterMembership, _ host: Int) throws -> Endpoint {
        try #require(membership.cluster.endpoints.first { $0.address == address(host) })
    }

    private func fail(_ membership: inout ClusterMembership, _ host: Int) throws {
        try endpoint(membership, host).recordUnreachable(now: 0, base: 1, ceiling: 1)
        membership.note(unreachable: address(host))
    }

    @Test("an address that the latest answer does not name leaves when nobody can reach it")
    func eviction() throws {
        var membership = membership()
        update(&membership, discovered(1, 2, 4, -3))
        try fail(&membership, 2)
        try fail(&membership, 3)
        let change = try #require(update(&membership, discovered(1, 2, 4, -3)))
        #expect(change.removed == [address(3)])
        #expect(change.evicted == [address(3)])
        #expect(
            change.events.map(\.text) == ["10.0.0.3:1: cannot be reached, and not in the latest answer (3 endpoints)"])
        // The one that the answer names stays: the next answer would only bring it back.
        #expect(hosts(membership) == ["1", "2", "4"])
        #expect(membership.evictions == 1)
        // Being listed as seen earlier does not bring it back; nothing changes.
        #expect(update(&membership, discovered(1, 2, 4, -3)) == nil)
    }

    @Test("when more than half cannot be reached at once nobody is evicted: it is more likely us than them")
    func ownNetwork() throws {
        var membership = membership()
        update(&membership, discovered(1, 2, -3, -4, -5))
        for host in 1...3 { try fail(&membership, host) }
        #expect(update(&membership, discovered(1, 2, -3, -4, -5)) == nil)
        try endpoint(membership, 1).recordReached()
        #expect(update(&membership, discovered(1, 2, -3, -4, -5))?.evicted == [address(3)])
        // The one that is out counts on, so that they cannot leave one after the other.
        try fail(&membership, 4)
        #expect(update(&membership, discovered(1, 2, -3, -4, -5)) == nil)
        #expect(hosts(membership) == ["1", "2", "4", "5"])
    }

    @Test("a reload that changes sources, or only their rules, keeps what there is until they have answered")
    func reload() throws {
        var membership = membership()
        update(&membership, discovered(1, 2, 3))
        var pending = DiscoveredMembers()
        pending.isComplete = false
        pending.resolution = .pending
        membership.replaceSources(with: rule.discover, keys: [.file(path: "/other", emptyAfter: nil)])
        update(&membership, pending)
        #expect(hosts(membership) == ["1", "2", "3"])
        // They are not confirmed any more: who cannot be reached leaves.
        try fail(&membership, 2)
        update(&membership, pending)
        #expect(hosts(membership) == ["1", "3"])
        update(&membership, discovered(3, 4))
        #expect(hosts(membership) == ["3", "4"])
        #expect(membership.hasHadEndpoints)
    }

    @Test("what this host cannot do is no evidence against a task")
    func noEvidence() throws {
        var membership = membership()
        update(&membership, discovered(1, 2, -3))
        try endpoint(membership, 3).recordUnreachable(now: 0, base: 1, ceiling: 1)
        #expect(update(&membership, discovered(1, 2, -3)) == nil)
    }

    @Test("an answer that names it brings it back, as the object it was: still unreachable")
    func returning() throws {
        var membership = membership()
        update(&membership, discovered(1, -3))
        let before = try endpoint(membership, 3)
        try fail(&membership, 3)
        update(&membership, discovered(1, -3))
        #expect(hosts(membership) == ["1"])
        update(&membership, discovered(-1, 3), now: .seconds(599))
        #expect(hosts(membership) == ["1", "3"])
        let after = try endpoint(membership, 3)
        #expect(after === before)
        #expect(after.isUnreachable)
    }

    @Test("ten minutes later it is a new endpoint")
    func forgotten() throws {
        var membership = membership()
        update(&membership, discovered(1, 3))
        let before = try endpoint(membership, 3)
        try fail(&membership, 3)
        update(&membership, discovered(1))
        update(&membership, discovered(1, 3), now: .seconds(600))
        #expect(try endpoint(membership, 3) !== before)
        #expect(!(try endpoint(membership, 3).isUnreachable))
    }

    @Test("evidence is forgotten when discovery drops the address")
    func evidenceEnds() throws {
        var membership = membership()
        update(&membership, discovered(1, -3))
        try fail(&membership, 3)
        update(&membership, discovered(1, -3))
        update(&membership, discovered(1))
        #expect(update(&membership, discovered(1)) == nil)
        update(&membership, discovered(1, -3), now: .seconds(601))
        #expect(hosts(membership) == ["1", "3"])
    }

    @Test("addresses of the latest answer are never evicted, so evidence alone empties nothing")
    func neverEmpty() throws {
        var membership = membership()
        update(&membership, discovered(1, 2))
        for host in 1...2 { try fail(&membership, host) }
        #expect(update(&membership, discovered(1, 2)) == nil)
        #expect(hosts(membership) == ["1", "2"])
    }

    @Test("weights and priorities change without a new endpoint; the same ones again change nothing")
    func traits() throws {
        var membership = membership()
        let heavy = [1: EndpointTraits(weight: 3), 2: EndpointTraits(priority: 1, attributes: ["zone": "a"])]
        update(&membership, discovered(1, 2))
        let before = membership.cluster.endpoints
        let change = try #require(update(&membership, discovered(1, 2, traits: heavy)))
        #expect(change.added.isEmpty && change.removed.isEmpty)
        #expect(membership.cluster.endpoints.map(ObjectIdentifier.init) == before.map(ObjectIdentifier.init))
        #expect(membership.cluster.traits.map(\.weight) == [3, 1])
        #expect(membership.cluster.tiers.count == 2)
        #expect(membership.cluster.traits[1].attributes == ["zone": "a"])
        #expect(update(&membership, discovered(1, 2, traits: heavy)) == nil)
    }

    @Test("a cluster of a thousand endpoints, one of which changes, keeps the 999 others")
    func large() throws {
        var membership = membership()
        func discovered(_ ports: Range<Int>) -> DiscoveredMembers {
            var discovered = DiscoveredMembers()
            for port in ports {
                discovered.add(
                    EndpointAddress(host: "10.0.0.1", port: port), .init(traits: EndpointTraits(), isConfirmed: true))
            }
            return discovered
        }
        update(&membership, discovered(1..<1_001))
        let before = membership.cluster.endpoints
        let change = try #require(update(&membership, discovered(2..<1_002)))
        #expect(change.added.count == 1 && change.removed.count == 1)
        #expect(
            membership.cluster.endpoints.dropLast().map(ObjectIdentifier.init)
                == before.dropFirst().map(ObjectIdentifier.init))
    }
}
