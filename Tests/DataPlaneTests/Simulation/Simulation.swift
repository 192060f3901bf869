import Policy

@testable import DataPlane

/// One seed, one run: callers, the data plane and tasks under faults for a while, then the calm in which everything has
/// to be well again, and the end in which nothing may be left.
final class Simulation {
    struct Report: Sendable {
        let seed: UInt64
        let violations: [String]
        let digest: UInt64
        let trace: [String]
        let calls: Int
        let attempts: Int
        let events: Int
        /// Calls by how they ended.
        let outcomes: [String: Int]
    }

    private let seed: UInt64
    private let chance: Chance
    private let world: World
    private let scenario: Scenario
    private let proxy: SimulatedProxy
    private var hosts: [SimulatedHost] = []
    private let bystander: SimulatedHost
    private var callers: [SimulatedCaller] = []
    private let watcher: SimulatedCaller
    /// The hosts that are in the set.
    private var members: [Int] = []
    private var cluster: ClusterSettings
    private let start: Int64

    static func run(seed: UInt64, isTracing: Bool = false, sabotage: Sabotage? = nil) -> Report {
        let simulation = Simulation(seed: seed, isTracing: isTracing, sabotage: sabotage)
        return simulation.run()
    }

    private init(seed: UInt64, isTracing: Bool, sabotage: Sabotage?) {
        self.seed = seed
        chance = Chance(seed: seed)
        let scenario = Scenario(chance.fork())
        self.scenario = scenario
        let world = World(chance: chance.fork(), isTracing: isTracing, sabotage: sabotage)
        self.world = world
        start = world.loop.time
        cluster = scenario.cluster
        proxy = SimulatedProxy(
            world: world, listener: scenario.listener, bufferBudget: scenario.bufferBudget, seed: chance.number())
        let chance = self.chance
        func host(_ port: Int) -> SimulatedHost {
            SimulatedHost(
                world: world, chance: chance.fork(),
                endpoint: Endpoint(address: EndpointAddress(host: "10.0.0.\(port)", port: port)))
        }
        bystander = host(99)
        watcher = SimulatedCaller(world: world, chance: chance.fork(), name: "bystander", isHasty: false)
        hosts = (1...scenario.hosts).map(host)
        for index in 1...scenario.callers {
            let isHasty = chance.hits(30)
            callers.append(SimulatedCaller(world: world, chance: chance.fork(), name: "\(index)", isHasty: isHasty))
        }
    }

    private var endpoints: [Endpoint] { (hosts + [bystander]).map(\.endpoint) }
    private var time: Int64 { world.loop.time - start }

    private func run() -> Report {
        prepare()
        world.loop.run(until: start + scenario.calm)
        calmDown()
        world.loop.run(until: start + scenario.calm + Self.recovery)
        world.ledger.checkEnded()
        proxy.checkQuiet(endpoints)
        probe()
        world.loop.run(until: start + scenario.calm + Self.recovery + Self.patience)
        checkProbes()
        world.ledger.checkEnded()
        world.ledger.checkExecutions()
        world.ledger.checkRefusals()
        world.ledger.checkLimit(scenario.limit)
        proxy.checkQuiet(endpoints)
        end()
        return report()
    }

    /// Nanoseconds from the last fault until all is well.
    private static let recovery: Int64 = 5_000_000_000
    /// Nanoseconds until a call of the calm has succeeded.
    private static let patience: Int64 = 2_000_000_000
    private static let checkEvery: Int64 = 100_000_000

    // MARK: Course

    private func prepare() {
        members = Array(hosts.indices)
        for (index, host) in hosts.enumerated() {
            host.faults = chance.pick([0, 0, 15, 60])
            host.thinks = chance.pick([0, 0, 20, 400])
            host.streamsMax = chance.pick([1, 3, 100, 100])
            host.traits.weight = chance.pick([1, 1, 1, 3])
            host.traits.priority = chance.pick([0, 0, 0, 1])
            // The first is in every subset that a route asks for.
            host.traits.attributes = [
                "zone": chance.pick(["here", "there"]), "version": index == 0 ? "1" : chance.pick(["1", "2"]),
            ]
        }
        publish()
        for _ in 0..<scenario.calls {
            let plan = CallPlan.draw(chance)
            let caller = chance.pick(callers)
            at(chance.below(Int(scenario.calm))) { caller.call(plan) }
        }
        for _ in 0..<chance.range(1, 2) {
            let plan = CallPlan.probe(.bystander, chance)
            at(chance.below(Int(scenario.calm))) { [watcher] in watcher.call(plan) }
        }
        for _ in 0..<scenario.faults {
            at(chance.below(Int(scenario.calm))) { [unowned self] in
                if time < scenario.calm { fault() }
            }
        }
        check()
    }

    private func at(_ delay: Int, _ body: @escaping () -> Void) {
        world.loop.after(Int64(delay), body)
    }

    private func check() {
        proxy.checkAlways(endpoints)
        if time < scenario.calm + Self.recovery { at(Int(Self.checkEvery)) { [unowned self] in check() } }
    }

    private func publish(clusters: Int = 2) {
        proxy.publish(
            busy: members.map { hosts[$0] }, cluster, bystander: bystander.endpoint, plans: scenario.plans,
            clusters: clusters)
    }

    /// Something goes wrong.
    private func fault() {
        let host = chance.pick(hosts)
        switch chance.below(15) {
        case 0:
            host.crash(abruptly: chance.hits(60))
            at(Int(chance.time(10, 1_500))) { host.door = .open }
        case 1:
            host.leave()
            at(Int(chance.time(10, 1_500))) { host.door = .open }
        case 2:
            host.setDark(true)
            at(Int(chance.time(50, 3_000))) { host.setDark(false) }
        case 3:
            host.door = chance.pick([.refusing, .silent])
            at(Int(chance.time(10, 1_500))) { host.door = .open }
        case 4:
            host.hello = chance.pick(SimulatedHost.Hello.allCases)
            at(Int(chance.time(10, 1_500))) { host.hello = .settings }
        case 5: host.limitStreams(to: chance.pick([0, 1, 2, 100]))
        case 6: host.faults = chance.pick([0, 30, 100])
        case 7:
            // One at a time: those that leave together leave in no order.
            if members.count > 1 || members.count == 1 && chance.hits(50) {
                members.remove(at: chance.below(members.count))
                publish()
            }
        case 8:
            members = Array(Set(members + [chance.below(hosts.count)])).sorted()
            publish()
        case 9:
            cluster = Scenario.drawCluster(chance)
            publish()
        case 10: chance.pick(callers).close(abruptly: chance.hits(50))
        case 11: chance.pick(callers).connections.last?.stall(for: chance.time(50, 4_000))
        case 12: host.connections.last?.stall(for: chance.time(50, 4_000))
        case 13: host.endpoint.health.set(chance.pick([.pending, .healthy, .unhealthy]), reason: "says the scenario")
        default: if !proxy.connections.isEmpty { chance.pick(proxy.connections).drain() }
        }
    }

    private func calmDown() {
        world.ledger.note(0, 0, "calm")
        world.isCalm = true
        for host in hosts { host.recover() }
        for link in world.network.links {
            link.isDark = false
            link.toPeer.isStalled = false
        }
        cluster = Scenario.calmCluster(cluster)
        members = Array(hosts.indices)
        publish()
        if world.sabotage == .lostHost { hosts[0].crash(abruptly: true) }
    }

    private func probe() {
        world.ledger.note(0, 1, "probes")
        for caller in callers + [watcher] {
            for route in CallPlan.Route.allCases where route.isReliable { caller.call(CallPlan.probe(route, chance)) }
        }
    }

    /// With healthy tasks calls succeed, and a bystander's always do.
    private func checkProbes() {
        for call in world.ledger.calls where call.plan.isProbe {
            if let outcome = call.outcome, outcome != .answered(status: 0, reason: nil) {
                world.ledger.violate("call \(call.id) (\(call.plan.route)) should have succeeded: \(outcome)")
            }
        }
    }

    private func end() {
        for caller in callers + [watcher] { caller.close(abruptly: false) }
        // One at a time, since those that leave together leave in no order.
        publish(clusters: 1)
        publish(clusters: 0)
        // The watchdogs of a second, and handshakes that are under way.
        world.loop.run(until: world.loop.time + 3_000_000_000)
        callers.removeAll()
        proxy.checkGone(endpoints)
    }

    private func report() -> Report {
        let ledger = world.ledger
        var outcomes: [String: Int] = [:]
        for call in ledger.calls { outcomes[call.outcome.map { "\($0)" } ?? "none", default: 0] += 1 }
        world.loop.clear()
        return Report(
            seed: seed, violations: ledger.violations, digest: ledger.digest, trace: ledger.trace,
            calls: ledger.calls.count, attempts: ledger.attempts.count, events: world.loop.count, outcomes: outcomes)
    }
}
