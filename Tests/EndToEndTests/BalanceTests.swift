import Testing

extension EndToEnd {
    @Suite("Balance")
    struct Balance {
        @Test(
            "10,000 sequential calls over three tasks differ by at most one, whatever the connections and workers",
            arguments: [(workers: 1, connections: 1), (workers: 2, connections: 1), (workers: 2, connections: 7)])
        func roundRobin(_ shape: (workers: Int, connections: Int)) async throws {
            try await Mesh.with(.init(workers: shape.workers)) { mesh in
                let facts = try await mesh.call(
                    "sequential", ["--count", "10000", "--channels", "\(shape.connections)"])
                #expect(facts.failed == 0, "\(facts.failures ?? [])")
                let split = facts.split ?? [:]
                #expect(Set(split.keys) == TaskServer.names(3))
                #expect(split.values.sorted() == [3333, 3333, 3334])
                // The tasks' own count: nothing was tried twice.
                #expect(try await mesh.tasks.stats().values.map(\.calls).sorted() == [3333, 3333, 3334])
            }
        }

        @Test("least_request gives each of three idle tasks its share")
        func leastRequest() async throws {
            try await Mesh.with(.init(balance: "least_request")) { mesh in
                let facts = try await mesh.call("sequential", ["--count", "3000"])
                #expect(facts.failed == 0, "\(facts.failures ?? [])")
                let split = facts.split ?? [:]
                #expect(Set(split.keys) == TaskServer.names(3))
                #expect(split.values.allSatisfy { $0 > 800 }, "\(split)")
            }
        }

        @Test("Calls of one connection reuse a connection per task and worker")
        func connections() async throws {
            try await Mesh.with { mesh in
                let facts = try await mesh.call("sequential", ["--count", "300"])
                #expect(facts.connections == ["task-a": 1, "task-b": 1, "task-c": 1])
            }
        }
    }
}
