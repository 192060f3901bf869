import Foundation
import Testing

extension EndToEnd {
    /// Hosts that are gone without a word: packets to them and from them vanish, and no error comes.
    @Suite(
        "Black holes",
        .enabled(if: NetworkNamespace.isAvailable, "needs root for network namespaces, in which packets can get lost"))
    struct BlackHoles {
        private static let cluster = "tasks.local"
        private static let addresses = ["10.9.0.11", "10.9.0.12", "10.9.0.13", "fd00:9::14", "fd00:9::15"]

        @Test(
            "One task of five goes dark under load: few calls are lost, soon, nobody else notices, and it returns",
            arguments: ["10.9.0.11", "fd00:9::15"])
        func oneOfFive(_ victim: String) async throws {
            try await Processes.scope { processes in
                let mesh = try await NetworkNamespace.make(processes)
                let hosts = try await NetworkNamespace.make(processes)
                try await mesh.link(to: hosts, "wire")
                for address in ["10.9.0.1", "fd00:9::1"] { try await mesh.own(address) }
                for address in Self.addresses { try await hosts.own(address) }
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
                    let before = try await load.take(TestScale.blackHoleRate * 2)
                    await ekiden.expect(before.isEven(over: Self.addresses), of: Self.cluster, before)

                    let dark = Moment.now
                    try await mesh.lose(victim, on: hosts)
                    let log = try await load.take(for: .seconds(8))
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
                    await expect(failures.allSatisfy { $0.status.contains(victim) }, "calls of others fail")
                    await expect(failures.count <= TestScale.blackHoleRate * 2 / 5 + 5, "\(failures.count) failed")
                    let late = log.filter { $0.start > dark + 3 }
                    let (usual, now) = (before.quantile(0.99), late.quantile(0.99))
                    // Far below the second that a connect to the dark costs, and above the noise of a shared machine.
                    await expect(now <= usual * 2 + 0.1, "p99 \(usual) s before, \(now) s after")
                    await expect(late.split[victim] == nil, "an answer out of the dark")

                    try await mesh.find(victim, on: hosts)
                    try await poll(within: .seconds(15), "answers of the task that is back") {
                        try await load.take().split[victim] != nil
                    }
                    try await load.take(TestScale.blackHoleRate)
                    let back = try await load.stop().filter { $0.start > dark + 2 }
                    await ekiden.expect(back.failures.isEmpty, of: Self.cluster, back, since: dark)
                    try await ekiden.checkSettled()
                }
            }
        }
    }
}

extension NetworkNamespace {
    fileprivate func own(_ address: String) async throws {
        try await run("ip address add \(address)/\(address.contains(":") ? "64 nodad" : "24") dev wire")
    }

    /// Packets to this address leave for a station that does not exist, and packets from it are dropped where it is:
    /// what is sent is sent well, and nobody answers.
    fileprivate func lose(_ address: String, on host: NetworkNamespace) async throws {
        try await run("ip neighbour replace \(address) lladdr 02:00:00:00:00:99 dev wire nud permanent")
        try await host.run("ip \(Self.family(address)) rule add from \(address) blackhole")
    }

    fileprivate func find(_ address: String, on host: NetworkNamespace) async throws {
        try await host.run("ip \(Self.family(address)) rule delete from \(address) blackhole")
        try await run("ip neighbour delete \(address) dev wire")
    }

    private static func family(_ address: String) -> String { address.contains(":") ? "-6" : "-4" }
}
