import Foundation
import Testing

extension EndToEnd {
    @Suite("Reload")
    struct Reload {
        @Test("SIGHUP takes a good file for new calls and leaves open streams alone")
        func good() async throws {
            try await Processes.scope { processes in
                let tasks = try await TaskServer.start(2, .aio)
                processes.adopt(tasks.peer.child)
                let file = try ConfigurationFile(configuration(tasks, task: 0))
                let ekiden = try await EkidenProcess.run(file)
                processes.adopt(ekiden.child)
                let held = try Client("held", target: ekiden.target, ["--count", "10"], .aio)
                processes.adopt(held.peer.child)
                try await held.peer.event("held")

                try file.write(configuration(tasks, task: 1))
                let position = ekiden.child.errors.all.count
                ekiden.child.deliver(SIGHUP)
                try await ekiden.log("reload", after: position)

                let facts = try await Client.run("sequential", target: ekiden.target, ["--count", "100"])
                #expect(facts.split == ["task-b": 100])
                let finished = try await held.finish("finish")
                #expect(finished.split == ["task-a": 10])
                #expect(finished.failed == 0, "\(finished.failures ?? [])")
            }
        }

        @Test("A bad file is refused with its errors in the log; the old configuration stays")
        func bad() async throws {
            try await Processes.scope { processes in
                let tasks = try await TaskServer.start(1, .sync)
                processes.adopt(tasks.peer.child)
                let file = try ConfigurationFile(configuration(tasks, task: 0))
                let ekiden = try await EkidenProcess.run(file)
                processes.adopt(ekiden.child)

                try file.write("lisstners: []")
                let position = ekiden.child.errors.all.count
                ekiden.child.deliver(SIGHUP)
                try await ekiden.log("lisstners", after: position)

                let facts = try await Client.run("sequential", target: ekiden.target, ["--count", "10"])
                #expect(facts.split == ["task-a": 10])
                #expect(try await ekiden.get("/ready").status == 200)
            }
        }

        private func configuration(_ tasks: TaskServer, task: Int) -> String {
            """
            listeners: [{name: mesh, listen: "127.0.0.1:0"}]
            routes: [{cluster: only}]
            clusters: {only: {discover: "static://\(TaskServer.address(task)):\(tasks.port)"}}
            """
        }
    }
}
