import Foundation
import Testing

extension EndToEnd {
    /// Hosts that are gone without a word: packets to them and from them vanish, and no error comes.
    @Suite(
        "Black holes",
        .enabled(if: NetworkNamespace.isAvailable, "needs root for network namespaces, in which packets can get lost"))
    struct BlackHoles {
        private static let cluster = "tasks.local"
        private static let addresses = (1...5).map { "10.9.0.1\($0)" }

        @Test(
            "One task of five goes dark under load: few calls are lost, soon, and nobody else notices; and it comes back"
        )
        func oneOfFive() async throws {
            let victim = Self.addresses[4]
            try await Processes.scope { processes in
                let mesh = try await NetworkNamespace.make(processes)
                let hosts = try await NetworkNamespace.make(processes)
                try await mesh.link(to: hosts, "wire")
                try await mesh.run("ip address add 10.9.0.1/24 dev wire")
                for address in Self.addresses { try await hosts.run("ip address add \(address)/24 dev wire") }
                let fleet = try await NetworkNamespace.$current.withValue(hosts) {
                    try await processes.fleet(Self.addresses)
                }
                try await NetworkNamespace.$current.withValue(mesh) {
                    let dns = try await processes.dns()
                    try await dns.answer(Self.cluster, .init(addresses: Self.addresses))
                    let ekiden = try await processes.ekiden(
                        [
                            Self.cluster:
                                "port: \(fleet.port), discover: dns://\(Self.cluster), connect_backoff_max: 2s"
                        ], dns)
                    try await ekiden.awaitHosts(Self.addresses, in: Self.cluster, within: .seconds(10))
                    let load = try await processes.load(ekiden, rate: TestScale.blackHoleRate)
                    try await load.take(TestScale.blackHoleRate)
                    let before = try await load.take(TestScale.blackHoleRate * 3)
                    await ekiden.expect(before.isEven(over: Self.addresses), of: Self.cluster, before)

                    let dark = Moment.now
                    try await mesh.lose(victim)
                    let log = try await load.take(for: .seconds(10))
                    func expect(
                        _ holds: Bool, _ what: String, at location: SourceLocation = #_sourceLocation
                    ) async {
                        await ekiden.expect(holds, what, of: Self.cluster, log, since: dark, at: location)
                    }
                    let failures = log.failures
                    // A second until the connection is known to be dark, and one for a slow machine.
                    await expect(failures.allSatisfy { $0.start < dark + 2 }, "calls fail that began later")
                    await expect(failures.allSatisfy { $0.seconds < 5 }, "calls hang")
                    await expect(failures.allSatisfy { $0.status.hasPrefix("UNAVAILABLE") }, "another status")
                    await expect(failures.count <= TestScale.blackHoleRate * 2 / 5 + 5, "\(failures.count) failed")
                    let late = log.filter { $0.start > dark + 3 }
                    let (usual, now) = (before.quantile(0.99), late.quantile(0.99))
                    await expect(now <= usual * 2 + 0.02, "p99 \(usual) s before, \(now) s after")
                    await expect(late.split[victim] == nil, "an answer out of the dark")

                    try await mesh.find(victim)
                    try await poll(within: .seconds(15), "answers of the task that is back") {
                        try await load.take().split[victim] != nil
                    }
                    let back = try await load.take(TestScale.blackHoleRate) + (try await load.stop())
                    await ekiden.expect(back.failures.isEmpty, of: Self.cluster, back)
                    try await ekiden.checkSettled()
                }
            }
        }
    }
}

extension NetworkNamespace {
    /// Packets to this address leave for a station that does not exist: they are sent, and nobody answers.
    fileprivate func lose(_ address: String) async throws {
        try await run("ip neighbour replace \(address) lladdr 02:00:00:00:00:99 dev wire nud permanent")
    }

    fileprivate func find(_ address: String) async throws {
        try await run("ip neighbour delete \(address) dev wire")
    }
}
