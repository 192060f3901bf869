import DNS
import Policy
import Synchronization
import Testing

@testable import Control

@Suite("The directory of clusters", .timeLimit(.minutes(1)))
struct DiscoveryDirectoryTests {
    private let clock = ManualClock()
    private let transport = FakeTransport()
    private let snapshots = Received<Snapshot>()

    private func configuration(_ clusters: ClusterRule...) -> Configuration {
        Configuration(routes: clusters.map { RouteRule(cluster: $0.name) }, clusters: clusters)
    }

    private func dns(_ cluster: String, _ name: String, port: Int = 50051) -> ClusterRule {
        ClusterRule(name: cluster, discover: [.dns(name: name, port: port)])
    }

    /// Runs `body` beside a directory whose snapshots go to ``snapshots``.
    private func withDirectory(
        _ configuration: Configuration, _ body: (ClusterDirectory) async throws -> Void
    ) async throws {
        let directory = ClusterDirectory(
            configuration: configuration,
            compileRoutes: { configuration in
                RouteTable(
                    configuration.clusters.indices.map {
                        Route(name: configuration.clusters[$0].name, clusterIndex: $0)
                    })
            },
            transport: { [transport] _ in transport }, clock: clock,
            publish: { [snapshots] in snapshots.add($0) })
        let task = Task { try await directory.run() }
        try await body(directory)
        task.cancel()
        try await task.value
        #expect(transport.isClosed)
    }

    private func addresses(_ snapshot: Snapshot, _ index: Int = 0) -> [String] {
        snapshot.clusters[index].endpoints.map(\.name)
    }

    @Test("static endpoints are there from the first snapshot on; DNS ones are pending, then follow")
    func firstSnapshots() async throws {
        transport.set("users.local", .addresses(["10.0.0.10", "10.0.0.9"], ttl: 5))
        let fixed = ClusterRule(name: "fixed", discover: [.fixed([.init(host: "127.0.0.1", port: 9001)])])
        try await withDirectory(configuration(fixed, dns("users", "users.local"))) { directory in
            let first = await snapshots.next()
            #expect(first.version == 1)
            #expect(first.clusters.map(\.name) == ["fixed", "users"])
            #expect(first.routes.routes.map(\.clusterIndex) == [0, 1])
            #expect(addresses(first) == ["127.0.0.1:9001"])
            #expect(first.clusters[0].resolution == .resolved)
            #expect(first.clusters[1].resolution == .pending)
            let second = await snapshots.next()
            #expect(second.version == 2)
            #expect(addresses(second, 1) == ["10.0.0.9:50051", "10.0.0.10:50051"])
            #expect(second.clusters[1].resolution == .resolved)
            #expect(second.clusters[0] === first.clusters[0])
            #expect(await directory.waitForFirstResolution(timeout: .seconds(1)))
        }
    }

    @Test("an endpoint whose address stays is the same object, and so is the cluster's state")
    func endpointsSurvive() async throws {
        transport.set("users.local", .addresses(["10.0.0.1", "10.0.0.2"], ttl: 5))
        try await withDirectory(configuration(dns("users", "users.local"))) { _ in
            _ = await snapshots.next()
            let before = await snapshots.next().clusters[0]
            before.endpoints[1].streamsTotal.add(7, ordering: .relaxed)
            transport.set("users.local", .addresses(["10.0.0.2", "10.0.0.3"], ttl: 5))
            clock.advance(by: await clock.nextSleep())
            let after = await snapshots.next().clusters[0]
            #expect(after.endpoints.map(\.name) == ["10.0.0.2:50051", "10.0.0.3:50051"])
            #expect(after.endpoints[0] === before.endpoints[1])
            #expect(after.state === before.state)
        }
    }

    @Test("a failed lookup keeps the endpoints, is visible, and recovers")
    func lastKnownGood() async throws {
        transport.set("users.local", .addresses(["10.0.0.1"], ttl: 5))
        try await withDirectory(configuration(dns("users", "users.local"))) { directory in
            _ = await snapshots.next()
            let good = await snapshots.next()
            transport.set("users.local", .failure(.nameError))
            clock.advance(by: await clock.nextSleep())
            let failed = await snapshots.next()
            #expect(addresses(failed) == ["10.0.0.1:50051"])
            #expect(failed.clusters[0].resolution == .failed("NXDOMAIN for users.local from 127.0.0.1:5353"))
            let status = try #require(await directory.status().first?.sources.first)
            #expect(status.isFailing)
            #expect(status.lastFailure == "NXDOMAIN for users.local from 127.0.0.1:5353")
            #expect(status.ttl == .seconds(5))
            #expect(status.answers == 1)
            #expect(status.failures == 1)
            #expect(status.addressCount == 1)
            #expect(try #require(status.lastSuccessAge) > .zero)
            transport.set("users.local", .addresses(["10.0.0.1"], ttl: 5))
            clock.advance(by: await clock.nextSleep())
            let recovered = await snapshots.next()
            #expect(recovered.version == good.version + 2)
            #expect(recovered.clusters[0].resolution == .resolved)
            #expect(recovered.clusters[0].endpoints[0] === good.clusters[0].endpoints[0])
        }
    }

    @Test("the same answer again publishes nothing")
    func noChange() async throws {
        transport.set("users.local", .addresses(["10.0.0.1", "10.0.0.2"], ttl: 5))
        try await withDirectory(configuration(dns("users", "users.local"))) { directory in
            _ = await snapshots.next()
            _ = await snapshots.next()
            transport.set("users.local", .addresses(["10.0.0.2", "10.0.0.1"], ttl: 1))
            clock.advance(by: await clock.nextSleep())
            while await directory.status().first?.sources.first?.answers != 2 { await Task.yield() }
            transport.set("users.local", .addresses(["10.0.0.3"], ttl: 1))
            clock.advance(by: await clock.nextSleep())
            #expect(await snapshots.next().version == 3)
        }
    }

    @Test("sources are united; one that fails does not hide the others")
    func union() async throws {
        transport.set("a.local", .addresses(["10.0.0.1", "127.0.0.1"], ttl: 5))
        let rule = ClusterRule(
            name: "users",
            discover: [
                .fixed([.init(host: "127.0.0.1", port: 50051)]), .dns(name: "a.local", port: 50051),
                .dns(name: "b.local", port: 50051), .dns(name: "no name", port: 1),
            ])
        try await withDirectory(configuration(rule)) { directory in
            #expect(await directory.waitForFirstResolution(timeout: .seconds(1)))
            var snapshot = await snapshots.next()
            while snapshot.version < 3 { snapshot = await snapshots.next() }
            #expect(addresses(snapshot) == ["10.0.0.1:50051", "127.0.0.1:50051"])
            #expect(
                snapshot.clusters[0].resolution
                    == .failed("NXDOMAIN for b.local from 127.0.0.1:5353; 'no name' is not a host name"))
        }
    }

    @Test("what the latest answer does not name leaves as soon as a worker cannot reach it, and the timeline says so")
    func evidence() async throws {
        var rule = dns("users", "users.local")
        rule.answers.truncation = .always
        transport.set("users.local", .addresses(["10.0.0.1", "10.0.0.2"], ttl: 5))
        try await withDirectory(configuration(rule)) { directory in
            _ = await snapshots.next()
            let both = await snapshots.next().clusters[0]
            transport.set("users.local", .addresses(["10.0.0.1", "10.0.0.3"], ttl: 5))
            clock.advance(by: await clock.nextSleep())
            let three = await snapshots.next().clusters[0]
            #expect(three.endpoints.map(\.address.host) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
            let coverage = try #require(await directory.status().first?.sources.first?.coverage)
            #expect(coverage.isTruncated)
            #expect(coverage.known == 3)

            both.endpoints[1].recordUnreachable(now: 0, base: 1, ceiling: 1)
            three.state.reportUnreachable(both.endpoints[1], "connection refused")
            let after = await snapshots.next().clusters[0]
            #expect(after.endpoints.map(\.address.host) == ["10.0.0.1", "10.0.0.3"])
            let events = try #require(await directory.timeline(of: "users")).entries.map(\.event)
            #expect(events.contains(DiscoveryEvent(.unreachable, "10.0.0.2:50051: connection refused")))
            #expect(
                events.last
                    == DiscoveryEvent(
                        .expired, "10.0.0.2:50051: cannot be reached, and not in the latest answer (2 endpoints)"))
            #expect(await directory.status().first?.evictions == 1)
            #expect(await directory.timeline(of: "nobody") == nil)
        }
    }

    @Test("a reload that changes how answers are read empties nothing, also while the name servers are silent")
    func changedRules() async throws {
        transport.set("users.local", .addresses(["10.0.0.1", "10.0.0.2"], ttl: 5))
        let rule = dns("users", "users.local")
        try await withDirectory(configuration(rule)) { directory in
            _ = await snapshots.next()
            let before = await snapshots.next().clusters[0]
            transport.set("users.local", .failure(.timeout))
            var changed = configuration(rule)
            changed.dns.answers.emptyAfter = .seconds(30)
            await directory.apply(changed)
            let after = await snapshots.next().clusters[0]
            #expect(after.endpoints.map(ObjectIdentifier.init) == before.endpoints.map(ObjectIdentifier.init))
            while await directory.status().first?.sources.first?.failures == 0 { await Task.yield() }
            #expect(await directory.status().first?.endpoints.count == 2)
        }
    }

    @Test("with `first`, the first source that has answered counts, also while it fails")
    func firstSource() async throws {
        transport.set("a.local", .failure(.serverFailure))
        transport.set("b.local", .addresses(["10.0.0.2"], ttl: 5))
        let rule = ClusterRule(
            name: "users",
            discover: [.dns(name: "a.local", port: 1), .dns(name: "b.local", port: 2)], combine: .first)
        try await withDirectory(configuration(rule)) { directory in
            var cluster = await snapshots.next().clusters[0]
            while cluster.endpoints.isEmpty { cluster = await snapshots.next().clusters[0] }
            #expect(cluster.endpoints.map(\.name) == ["10.0.0.2:2"])
            #expect(cluster.resolution == .resolved)
            transport.set("a.local", .addresses(["10.0.0.1"], ttl: 5))
            while cluster.endpoints.map(\.name) != ["10.0.0.1:1"] {
                clock.advance(by: .seconds(6))
                while await directory.status().first?.sources.first?.answers == 0 { await Task.yield() }
                cluster = await snapshots.next().clusters[0]
            }
            #expect(cluster.resolution == .resolved)
        }
    }

    @Test("clusters of one name share its resolver; each has its own port and endpoints")
    func sharedName() async throws {
        transport.set("users.local", .addresses(["10.0.0.1"], ttl: 5))
        let rules = configuration(dns("a", "users.local", port: 1), dns("b", "Users.Local", port: 2))
        try await withDirectory(rules) { directory in
            #expect(await directory.waitForFirstResolution(timeout: .seconds(1)))
            _ = await snapshots.next()
            let snapshot = await snapshots.next()
            #expect(addresses(snapshot, 0) == ["10.0.0.1:1"])
            #expect(addresses(snapshot, 1) == ["10.0.0.1:2"])
            #expect(transport.lookups(of: "users.local") == 1)
        }
    }

    @Test("a reload keeps what it does not change, drops what is gone, gives new clusters new identities")
    func reload() async throws {
        transport.set("users.local", .addresses(["10.0.0.1"], ttl: 5))
        transport.set("orders.local", .addresses(["10.0.1.1"], ttl: 5))
        let users = dns("users", "users.local")
        try await withDirectory(configuration(users)) { directory in
            _ = await snapshots.next()
            let before = await snapshots.next()
            await directory.apply(configuration(dns("orders", "orders.local"), users))
            let reloaded = await snapshots.next()
            #expect(reloaded.clusters.map(\.name) == ["orders", "users"])
            #expect(reloaded.clusters[1] === before.clusters[0])
            #expect(reloaded.clusters[0].state.id != before.clusters[0].state.id)
            #expect(addresses(await snapshots.next()) == ["10.0.1.1:50051"])

            var tuned = users
            tuned.settings.balance = .leastRequest
            await directory.apply(configuration(tuned))
            let last = await snapshots.next()
            #expect(last.clusters.map(\.name) == ["users"])
            #expect(last.clusters[0].settings.balance == .leastRequest)
            #expect(last.clusters[0].endpoints[0] === before.clusters[0].endpoints[0])
            #expect(last.clusters[0].state === before.clusters[0].state)
            #expect(transport.lookups(of: "users.local") == 1)
        }
    }

    @Test("a connect failure's refresh reaches the cluster's names, also after a reload changed them")
    func refresh() async throws {
        transport.set("users.local", .addresses(["10.0.0.1"], ttl: 10))
        transport.set("new.local", .addresses(["10.0.0.1"], ttl: 10))
        try await withDirectory(configuration(dns("users", "users.local"))) { directory in
            _ = await snapshots.next()
            let state = await snapshots.next().clusters[0].state
            _ = await clock.nextSleep()
            clock.advance(by: .seconds(2))
            transport.set("users.local", .addresses(["10.0.0.2"], ttl: 10))
            state.requestRefresh()
            #expect(addresses(await snapshots.next()) == ["10.0.0.2:50051"])

            await directory.apply(configuration(dns("users", "new.local")))
            while addresses(await snapshots.next()) != ["10.0.0.1:50051"] {}
            _ = await clock.nextSleep()
            clock.advance(by: .seconds(2))
            transport.set("new.local", .addresses(["10.0.0.3"], ttl: 10))
            state.requestRefresh()
            #expect(addresses(await snapshots.next()) == ["10.0.0.3:50051"])
        }
    }

    @Test("a cluster whose name a reload changes keeps its endpoints until the new name has answered")
    func renamed() async throws {
        transport.set("old.local", .addresses(["10.0.0.1"], ttl: 10))
        transport.set("new.local", .failure(.serverFailure))
        try await withDirectory(configuration(dns("users", "old.local"))) { directory in
            _ = await snapshots.next()
            let before = await snapshots.next()
            await directory.apply(configuration(dns("users", "new.local")))
            #expect(addresses(await snapshots.next()) == ["10.0.0.1:50051"])
            let failed = await snapshots.next()
            #expect(failed.clusters[0].resolution == .failed("SERVFAIL for new.local from 127.0.0.1:5353"))
            #expect(failed.clusters[0].endpoints[0] === before.clusters[0].endpoints[0])
            transport.set("new.local", .addresses(["10.0.0.2"], ttl: 10))
            clock.advance(by: await clock.nextSleep())
            #expect(addresses(await snapshots.next()) == ["10.0.0.2:50051"])
        }
    }

    @Test("waiting for the first resolution ends at its timeout")
    func waitTimeout() async throws {
        transport.set("users.local", .silence)
        transport.set("users.local", .silence, for: .aaaa)
        try await withDirectory(configuration(dns("users", "users.local"))) { directory in
            _ = await snapshots.next()
            let wait = Task { await directory.waitForFirstResolution(timeout: .seconds(3)) }
            #expect(await clock.nextSleep() == .seconds(3))
            clock.advance(by: .seconds(3))
            #expect(await wait.value == false)
        }
    }

    @Test("the log tells who came and who went, why a lookup failed and when it works again")
    func logLines() {
        func change(_ from: Cluster.Resolution, _ to: Cluster.Resolution, moved: Bool = false) -> MembershipChange {
            MembershipChange(
                cluster: "users", added: moved ? [.init(host: "10.0.0.4", port: 50051)] : [],
                removed: moved ? [.init(host: "10.0.0.2", port: 50051)] : [], evicted: [], endpointCount: 3,
                previousResolution: from, resolution: to)
        }
        let moved = change(.resolved, .resolved, moved: true)
        #expect(
            moved.membershipLine(ttl: .seconds(5))
                == "cluster users: +10.0.0.4:50051 -10.0.0.2:50051 (3 endpoints, ttl 5s)")
        #expect(moved.membershipLine(ttl: nil) == "cluster users: +10.0.0.4:50051 -10.0.0.2:50051 (3 endpoints)")
        #expect(moved.failureLine == nil)
        let failed = change(.resolved, .failed("SERVFAIL for users from 10.0.0.2:53"))
        #expect(failed.membershipLine(ttl: .seconds(5)) == nil)
        #expect(failed.failureLine == "cluster users: SERVFAIL for users from 10.0.0.2:53; keeping 3 endpoints")
        #expect(change(.failed("x"), .failed("x")).failureLine == nil)
        #expect(change(.failed("x"), .resolved).recoveryLine == "cluster users: resolved again (3 endpoints)")
    }
}
