import Testing

extension EndToEnd {
    /// Several sources of one cluster.
    @Suite("Source list")
    struct SourceList {
        @Test("The first source that has answered counts, or all together", arguments: ["first", "union"])
        func combine(_ rule: String) async throws {
            let tasks = Fleet.addresses(1...3)
            try await Processes.scope { processes in
                let fleet = try await processes.fleet(tasks)
                let dns = try await processes.dns()
                try await dns.mode("servfail", for: "users.local")
                let ekiden = try await processes.ekiden(
                    [
                        "users": """
                        port: \(fleet.port), combine: \(rule), \
                        discover: ["dns://users.local", "static://\(tasks[0])"]
                        """
                    ], dns)
                try await ekiden.awaitHosts([tasks[0]], in: "users", within: .seconds(5))
                let load = try await processes.load(ekiden)

                try await dns.answer("users.local", .init(addresses: Array(tasks[1...])))
                let together = rule == "first" ? Array(tasks[1...]) : tasks
                try await ekiden.awaitHosts(together, in: "users", within: .seconds(10))
                try await load.take(for: .milliseconds(200))
                let even = try await load.take(TestScale.rate)
                await ekiden.expect(even.isEven(over: together), of: "users", even)
                let log = try await load.stop()
                await ekiden.expect(log.failures.isEmpty, of: "users", log)
                try await ekiden.checkSettled()
            }
        }
    }
}
