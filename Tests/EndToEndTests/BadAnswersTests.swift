import Foundation
import Testing

extension EndToEnd {
    /// Name servers that deny, fail, lie and keep silent.
    @Suite("Bad answers")
    struct BadAnswers {
        /// How the scripted server answers, and each cluster's first label.
        private static let modes = [
            "nxdomain", "empty", "servfail", "refused", "drop", "garbage", "loop", "oversize", "truncate",
        ]
        /// Of these the addresses can be had, in spite of all.
        private static let readable: Set = ["oversize", "truncate"]

        @Test(
            "Every bad answer under load, each for a cluster: no call fails, no storm of queries, then all is well"
        )
        func underLoad() async throws {
            let tasks = Fleet.addresses(1...3) + ["::1"]
            let names = Self.modes.map { "\($0).local" }
            try await Processes.scope { processes in
                let fleet = try await processes.fleet(tasks)
                let dns = try await processes.dns()
                for name in names { try await dns.answer(name, .init(addresses: tasks)) }
                let file = try ConfigurationFile(
                    """
                    listeners: [{name: mesh, listen: "127.0.0.1:0"}]
                    dns: {servers: ["127.0.0.1:\(dns.port)"], timeout: 500ms}
                    routes:
                    \(names.map { "  - {match: {authority: \($0)}, cluster: \($0)}" }.joined(separator: "\n"))
                    clusters:
                    \(names.map { "  \($0): {port: \(fleet.port), discover: dns://\($0)}" }.joined(separator: "\n"))
                    """)
                let ekiden = try await EkidenProcess.run(file)
                processes.adopt(ekiden.child)
                for name in names { try await ekiden.awaitHosts(tasks, in: name, within: .seconds(10)) }
                let load = try await processes.load(ekiden, authorities: names)

                var before: [String: Int] = [:]
                for (mode, name) in zip(Self.modes, names) {
                    for type in ["A", "AAAA"] { before["\(name) \(type)"] = try await dns.queries(name, type) }
                    try await dns.mode(mode, for: name)
                }
                var log = try await load.take(for: .seconds(TestScale.outage))
                for name in names {
                    let own = log.filter { $0.authority == name }
                    await ekiden.expect(own.failures.isEmpty, of: name, own)
                    await ekiden.expect(own.isEven(over: tasks), of: name, own)
                    // A look is three tries at most, and looks come a second apart or further.
                    for type in ["A", "AAAA"] {
                        let asked = try await dns.queries(name, type) - (before["\(name) \(type)"] ?? 0)
                        #expect(asked >= 2 && asked <= 3 * (TestScale.outage + 2), "\(name) \(type): \(asked) queries")
                    }
                }

                // Fewer than before, so that it is seen that the answers count again.
                let fewer = Array(tasks[2...])
                for name in names { try await dns.answer(name, .init(addresses: fewer)) }
                for name in names { try await ekiden.awaitHosts(fewer, in: name, within: .seconds(35)) }
                log = try await load.stop()
                #expect(log.failures.isEmpty, "\(log.story())")
                try await ekiden.checkSettled()
            }
        }

        @Test(
            "A name that has never resolved: the listener is up, /ready says why, calls get UNAVAILABLE and why",
            arguments: [("nxdomain", "NXDOMAIN"), ("servfail", "SERVFAIL"), ("drop", "no DNS answer in time")])
        func neverResolved(_ mode: String, _ said: String) async throws {
            try await Processes.scope { processes in
                let fleet = try await processes.fleet(Fleet.addresses(1...1))
                let dns = try await processes.dns()
                try await dns.mode(mode, for: "users.local")
                let ekiden = try await processes.ekiden(
                    ["users": "port: \(fleet.port), discover: dns://users.local, no_endpoint_wait: 2s"], dns)

                let call = try await Client.run("expect", target: ekiden.target)
                #expect(call.code == "UNAVAILABLE")
                let message = call.message ?? ""
                #expect(message.contains("users") && message.contains(said), "\(message)")
                let ready = try await ekiden.get("/ready")
                #expect(ready.body.contains("users") && ready.body.contains(said), "\(ready.status) \(ready.body)")

                try await dns.answer("users.local", .init(addresses: Fleet.addresses(1...1)))
                try await ekiden.awaitHosts(Fleet.addresses(1...1), in: "users", within: .seconds(35))
                let facts = try await Client.run("sequential", target: ekiden.target, ["--count", "10"])
                #expect(facts.failed == 0, "\(facts.failures ?? [])")
                #expect(try await ekiden.get("/ready").status == 200)
            }
        }

        @Test(
            "Two name servers, one of them silent: changes are seen as with one, and no call fails", arguments: [0, 1])
        func oneSilent(_ position: Int) async throws {
            let tasks = Fleet.addresses(1...4)
            try await Processes.scope { processes in
                let fleet = try await processes.fleet(tasks)
                let good = try await processes.dns()
                let silent = try await processes.dns()
                try await good.answer("users.local", .init(addresses: Array(tasks[..<3])))
                try await silent.mode("drop")
                let servers = position == 0 ? [silent, good] : [good, silent]
                let ekiden = try await processes.ekiden(
                    ["users": "port: \(fleet.port), discover: dns://users.local"],
                    servers: servers.map { "127.0.0.1:\($0.port)" })
                try await ekiden.awaitHosts(Array(tasks[..<3]), in: "users", within: .seconds(10))
                let load = try await processes.load(ekiden)
                try await good.answer("users.local", .init(addresses: tasks))
                try await ekiden.awaitHosts(tasks, in: "users", within: .seconds(8))
                try await load.take(TestScale.rate)
                let log = try await load.stop()
                await ekiden.expect(log.failures.isEmpty, of: "users", log)
                #expect(Set(log.split.keys) == Set(tasks))
                try await ekiden.checkSettled()
            }
        }
    }
}
