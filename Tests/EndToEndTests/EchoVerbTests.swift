import Testing

extension EndToEnd {
    /// `ekiden echo` speaks gRPC without a gRPC library: here real clients judge it, with nothing in between.
    @Suite("ekiden echo")
    struct EchoVerb {
        @Test(
            "It serves grpcio clients as a gRPC server does",
            arguments: [
                ("kinds", Flavour.sync), ("sizes", .sync), ("metadata", .sync), ("deadline", .sync),
                ("cancellation", .sync), ("status", .sync), ("trailers_only", .sync), ("health", .sync),
                ("kinds", .aio), ("sizes", .aio), ("metadata", .aio), ("concurrent", .aio),
            ])
        func serves(_ scenario: String, _ client: Flavour) async throws {
            try await Processes.scope { processes in
                let (child, target) = try await start("task-x")
                processes.adopt(child)
                _ = try await Client.run(scenario, target: target, [], client)
            }
        }

        @Test("It answers with its name, and with one connection number per connection")
        func name() async throws {
            try await Processes.scope { processes in
                let (child, target) = try await start("task-x")
                processes.adopt(child)
                let facts = try await Client.run("sequential", target: target, ["--count", "20", "--channels", "4"])
                #expect(facts.split == ["task-x": 20])
                #expect(facts.connections == ["task-x": 4])
            }
        }

        private func start(_ name: String) async throws -> (ChildProcess, target: String) {
            let child = try ChildProcess(
                "ekiden echo", try Programs.ekiden(), ["echo", "--listen", "127.0.0.1:0", "--name", name])
            do {
                let listeners = try await ListeningLine.await(from: child, count: 1)
                return (child, listeners.first?.value ?? "")
            } catch {
                await child.end()
                throw HarnessError("\(error)\n\(child.transcript)")
            }
        }
    }
}
