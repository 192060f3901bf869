import Testing

extension EndToEnd {
    /// Connections that are ended because they are old, on either side of the proxy.
    @Suite("Connection age")
    struct ConnectionAge {
        private static let addresses = Fleet.addresses(1...2)

        @Test("A caller's connection is renewed at its age, and no call fails")
        func listener() async throws {
            try await Processes.scope { processes in
                let fleet = try await processes.fleet(Self.addresses)
                let ekiden = try await processes.ekiden(
                    cluster: "discover: \"\(fleet.discover(Self.addresses))\"", listener: "max_connection_age: 1s")
                let load = try await processes.load(ekiden, delay: .milliseconds(20))
                try await load.take(TestScale.rate)
                let streams = try await HeldStreams.start(ekiden, 2, processes)
                try await poll(within: .seconds(20), "the fifth connection") {
                    try await ekiden.metrics().sum("ekiden_downstream_connections_total") ?? 0 >= 6
                }
                let log = try await load.stop()
                #expect(log.failures.isEmpty, "\(log.story())")
                // Without a grace there is no end to what was open.
                #expect(try await streams.stop().isEmpty)
                try await ekiden.checkSettled()
            }
        }

        @Test("Tasks that end connections at an age of half a second: no call fails")
        func tasks() async throws {
            try await Processes.scope { processes in
                let fleet = try await processes.fleet(
                    Self.addresses, arguments: ["--max-connection-age-ms", "500"])
                let ekiden = try await processes.ekiden(
                    cluster: "discover: \"\(fleet.discover(Self.addresses))\"")
                let load = try await processes.load(ekiden, delay: .milliseconds(20))
                try await poll(within: .seconds(20), "the twentieth connection") {
                    try await ekiden.metrics().sum("ekiden_upstream_connections_total") ?? 0 >= 20
                }
                let log = try await load.stop()
                #expect(log.failures.isEmpty, "\(log.story())")
                try await ekiden.checkSettled()
            }
        }
    }
}
