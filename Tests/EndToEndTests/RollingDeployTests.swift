import Testing

extension EndToEnd {
    @Suite("Rolling deploy")
    struct RollingDeploy {
        private static let cluster = "tasks.local"

        @Test("Six tasks are replaced one by one: no call fails, and each long stream ends with its own task's status")
        func graceful() async throws {
            let old = Fleet.addresses(1...6)
            let new = Fleet.addresses(11...16)
            try await Processes.scope { processes in
                let fleet = try await processes.fleet(old)
                let dns = try await processes.dns()
                try await dns.answer(Self.cluster, .init(addresses: old))
                let ekiden = try await processes.ekiden(
                    [Self.cluster: "port: \(fleet.port), discover: dns://\(Self.cluster)"], dns)
                try await ekiden.awaitHosts(old, in: Self.cluster, within: .seconds(10))
                let load = try await processes.load(ekiden, rate: TestScale.deployRate)
                let streams = try await HeldStreams.start(ekiden, TestScale.streams, processes)

                let began = Moment.now
                var members = old
                for (leaving, coming) in zip(old, new) {
                    try await fleet.add(coming)
                    members.removeAll { $0 == leaving }
                    members.append(coming)
                    try await dns.answer(Self.cluster, .init(addresses: members))
                    try await ekiden.awaitHosts(members, in: Self.cluster, within: .seconds(10))
                    try await fleet.stop(leaving)
                }
                try await load.take()
                let after = try await load.take(TestScale.deployRate * 2)
                await ekiden.expect(after.isEven(over: new), of: Self.cluster, after)

                let ended = try await streams.stop()
                #expect(ended.count >= TestScale.streams, "all of the first streams were on tasks that left")
                for (task, status) in ended { #expect(status == "ABORTED: \(task) leaves") }
                let log = try await load.stop()
                await ekiden.expect(log.failures.isEmpty, of: Self.cluster, log, since: began)
                print(
                    "rolling deploy: \(log.calls.count) calls, \(Int(log.rate)) per second, \(log.failures.count) failed;",
                    "\(ended.count) streams")
                try await ekiden.checkSettled()
            }
        }
    }
}
