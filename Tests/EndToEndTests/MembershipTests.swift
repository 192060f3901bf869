import Foundation
import Testing

extension EndToEnd {
    @Suite("Membership")
    struct Membership {
        @Test("Tasks come and gracefully go through DNS under load: no call fails", arguments: Flavour.allCases)
        func addedAndRemoved(_ client: Flavour) async throws {
            try await Mesh.with(.init(tasks: 2, workers: 2)) { mesh in
                let dns = try #require(mesh.dns)
                let load = try Client("load", target: mesh.ekiden.target, client)
                try await load.sees(["task-a", "task-b"])

                try await mesh.tasks.add(2)
                try await dns.answer([0, 1, 2].map(TaskServer.address))
                try await load.sees(["task-a", "task-b", "task-c"])

                try await dns.answer([1, 2].map(TaskServer.address))
                try await load.sees(["task-b", "task-c"])
                try await mesh.tasks.remove(0)
                try await load.sees(["task-b", "task-c"])

                let facts = try await load.finish("stop")
                await load.peer.child.end()
                #expect(facts.failed == 0, "\(facts.failures ?? [])")
            }
        }

        /// A C-core server that shuts down answers calls which cross its GOAWAY with CANCELLED itself; that is a status
        /// like any other, and whether such a call ran is not ours to guess.
        @Test(
            "A task that stops gracefully while DNS still names it: no call fails but by the task's own CANCELLED",
            arguments: Flavour.allCases)
        func stoppedBeforeRemoved(_ server: Flavour) async throws {
            try await Mesh.with(.init(server: server)) { mesh in
                let load = try Client("load", target: mesh.ekiden.target, .sync)
                try await load.sees(TaskServer.names(3))
                try await mesh.tasks.remove(1)
                try await load.sees(["task-a", "task-c"])
                let facts = try await load.finish("stop")
                await load.peer.child.end()
                #expect((facts.failures ?? []).allSatisfy { $0 == "CANCELLED: CANCELLED" }, "\(facts.failures ?? [])")
                #expect((facts.failed ?? 0) <= 8, "more than the calls in flight")
            }
        }

        @Test("A task that is killed: calls after it go to the others")
        func killed() async throws {
            try await Mesh.with { mesh in
                _ = try await mesh.call("sequential", ["--count", "30"])
                let address = TaskServer.address(3)
                let victim = try PeerProcess.python(
                    Flavour.sync.server, ["--task", "victim=\(address):\(mesh.tasks.port)"])
                try await victim.event("listening")
                try await mesh.dns?.answer([0, 1, 2, 3].map(TaskServer.address))
                let load = try Client("load", target: mesh.ekiden.target)
                try await load.sees(TaskServer.names(3).union(["victim"]))
                _ = try await load.finish("stop")
                await load.peer.child.end()

                victim.child.deliver(SIGKILL)
                _ = try await victim.child.exitCode()
                let facts = try await mesh.call("sequential", ["--count", "1000"])
                #expect(facts.failed == 0, "\(facts.failures ?? [])")
                #expect(Set(facts.split?.keys.map(\.self) ?? []) == TaskServer.names(3))
            }
        }

        @Test("The last known tasks are kept while DNS fails", arguments: ["servfail", "nxdomain", "drop"])
        func dnsFails(_ mode: String) async throws {
            try await Mesh.with { mesh in
                _ = try await mesh.call("sequential", ["--count", "30"])
                let dns = try #require(mesh.dns)
                try await dns.mode(mode)
                let queries = try await dns.queries()
                let load = try Client("load", target: mesh.ekiden.target)
                // Under load until the failing answer has been asked for twice (the TTL is a second).
                repeat {
                    try await load.sees(TaskServer.names(3))
                } while try await dns.queries() < queries + 4
                let facts = try await load.finish("stop")
                await load.peer.child.end()
                #expect(facts.failed == 0, "\(facts.failures ?? [])")
            }
        }
    }
}

extension Client {
    convenience init(_ scenario: String, target: String, _ flavour: Flavour) throws {
        try self.init(scenario, target: target, [], flavour)
    }

    /// Returns when the next reports of a load show answers of exactly these tasks.
    func sees(_ names: Set<String>) async throws {
        try await peer.event("progress", after: peer.position) { event in
            Set((event.split ?? [:]).keys) == names
        }
    }
}
