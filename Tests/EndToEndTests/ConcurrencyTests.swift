import Testing

extension EndToEnd {
    @Suite("Concurrency")
    struct Concurrency {
        @Test("1,000 streams are open at the same time on one connection, spread evenly", arguments: [1, 2])
        func streams(_ workers: Int) async throws {
            try await Mesh.with(.init(server: .aio, workers: workers)) { mesh in
                let facts = try await mesh.call("concurrent", ["--count", "1000"], client: .aio)
                #expect(facts.failed == 0, "\(facts.failures ?? [])")
                #expect(facts.split?.values.sorted() == [333, 333, 334])
            }
        }

        @Test("1,000 unary calls in flight all answer")
        func calls() async throws {
            try await Mesh.with(.init(server: .aio)) { mesh in
                let facts = try await mesh.call("concurrent", ["--count", "1000"])
                #expect(facts.failed == 0, "\(facts.failures ?? [])")
                #expect(facts.calls == 1000)
            }
        }

        @Test("Streams beyond a task's MAX_CONCURRENT_STREAMS get further connections")
        func streamLimit() async throws {
            let plan = Mesh.Plan(tasks: 1, server: .aio, serverArguments: ["--max-streams", "50"])
            try await Mesh.with(plan) { mesh in
                let facts = try await mesh.call("concurrent", ["--count", "150"], client: .aio)
                #expect(facts.failed == 0, "\(facts.failures ?? [])")
                let stats = try await mesh.tasks.stats()
                #expect(stats["task-a"]?.connections == 3)
            }
        }

        @Test("A reader that stops neither grows memory nor slows its neighbours")
        func slowReader() async throws {
            try await Mesh.with(.init(tasks: 1)) { mesh in
                _ = try await mesh.call("sequential", ["--count", "100"])
                let before = try mesh.ekiden.residentBytes()
                let client = try Client("slow_reader", target: mesh.ekiden.target, ["--count", "200"])
                try await client.peer.event("measured")
                let stalled = try mesh.ekiden.residentBytes()
                let facts = try await client.finish("read")
                await client.peer.child.end()
                // 200 MiB wait at the task; what the proxy holds is windows and buffers.
                #expect(stalled - before < 32 * 1024 * 1024, "grew by \((stalled - before) / 1024) KiB")
                #expect(facts.median_ms ?? .infinity < 100)
            }
        }
    }
}
