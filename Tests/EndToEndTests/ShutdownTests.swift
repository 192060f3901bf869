import Foundation
import Testing

extension EndToEnd {
    @Suite("Shutdown")
    struct Shutdown {
        @Test(
            "SIGTERM and SIGINT under load: no call fails, exit code 0",
            arguments: [(SIGTERM, Flavour.sync), (SIGTERM, .aio), (SIGINT, .sync)])
        func underLoad(_ signal: Int32, _ client: Flavour) async throws {
            try await Processes.scope { processes in
                let tasks = try await TaskServer.start(2, .sync)
                processes.adopt(tasks.peer.child)
                // Two proxies, as two tasks of a mesh: the callers have somewhere to go.
                let leaving = try await EkidenProcess.run(try drainingFile(tasks))
                processes.adopt(leaving.child)
                let staying = try await EkidenProcess.run(try drainingFile(tasks))
                processes.adopt(staying.child)
                let load = try Client(
                    "load", target: "ipv4:\(leaving.target),\(staying.target)", ["--round-robin"], client)
                processes.adopt(load.peer.child)
                try await load.sees(TaskServer.names(2))

                leaving.child.deliver(signal)
                #expect(try await leaving.child.exitCode(within: .seconds(30)) == 0)
                try await load.sees(TaskServer.names(2))
                let facts = try await load.finish("stop")
                #expect(facts.failed == 0, "\(facts.failures ?? [])")
            }
        }

        @Test("SIGTERM lets open streams finish; readiness turns false at once")
        func openStreams() async throws {
            try await Processes.scope { processes in
                let tasks = try await TaskServer.start(2, .aio)
                processes.adopt(tasks.peer.child)
                let ekiden = try await EkidenProcess.run(try drainingFile(tasks))
                processes.adopt(ekiden.child)
                let held = try Client("held", target: ekiden.target, ["--count", "50"], .aio)
                processes.adopt(held.peer.child)
                try await held.peer.event("held")
                #expect(try await ekiden.get("/ready").status == 200)

                let position = ekiden.child.errors.all.count
                ekiden.child.deliver(SIGTERM)
                try await ekiden.log("drain", after: position)
                #expect(try await ekiden.get("/ready").status == 503)
                let facts = try await held.finish("finish")
                #expect(facts.failed == 0, "\(facts.failures ?? [])")
                #expect(facts.calls == 50)
                #expect(try await ekiden.child.exitCode(within: .seconds(30)) == 0)
            }
        }

        @Test("A second signal ends the process now, with exit code 2")
        func secondSignal() async throws {
            try await Processes.scope { processes in
                let tasks = try await TaskServer.start(1, .aio)
                processes.adopt(tasks.peer.child)
                let ekiden = try await EkidenProcess.run(try drainingFile(tasks, count: 1))
                processes.adopt(ekiden.child)
                let held = try Client("held", target: ekiden.target, ["--count", "5"], .aio)
                processes.adopt(held.peer.child)
                try await held.peer.event("held")

                let position = ekiden.child.errors.all.count
                ekiden.child.deliver(SIGTERM)
                try await ekiden.log("drain", after: position)
                ekiden.child.deliver(SIGTERM)
                #expect(try await ekiden.child.exitCode(within: .seconds(5)) == 2)
            }
        }

        @Test("Streams that do not finish are ended at drain.timeout, with exit code 2")
        func drainTimeout() async throws {
            try await Processes.scope { processes in
                let tasks = try await TaskServer.start(1, .aio)
                processes.adopt(tasks.peer.child)
                let file = try drainingFile(tasks, count: 1, delay: "200ms", timeout: "2s")
                let ekiden = try await EkidenProcess.run(file)
                processes.adopt(ekiden.child)
                let held = try Client("held", target: ekiden.target, ["--count", "5"], .aio)
                processes.adopt(held.peer.child)
                try await held.peer.event("held")

                let started = ContinuousClock.now
                ekiden.child.deliver(SIGTERM)
                #expect(try await ekiden.child.exitCode(within: .seconds(10)) == 2)
                let elapsed = ContinuousClock.now - started
                #expect(elapsed > .seconds(1.5) && elapsed < .seconds(5), "\(elapsed)")
                let facts = try await held.finish("finish")
                #expect(facts.failed == 5)
            }
        }
    }
}

/// One cluster of the tasks, with a drain that a test can wait for.
private func drainingFile(
    _ tasks: TaskServer, count: Int = 2, delay: String = "1s", timeout: String = "20s"
) throws -> ConfigurationFile {
    let addresses = (0..<count).map { "\(TaskServer.address($0)):\(tasks.port)" }.joined(separator: ",")
    return try ConfigurationFile(
        """
        listeners: [{name: mesh, listen: "127.0.0.1:0"}]
        routes: [{cluster: tasks}]
        clusters: {tasks: {discover: "static://\(addresses)"}}
        drain: {delay: \(delay), timeout: \(timeout)}
        """)
}
