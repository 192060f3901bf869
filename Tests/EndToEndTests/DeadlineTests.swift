import Testing

extension EndToEnd {
    @Suite("Deadlines and cancellation")
    struct Deadlines {
        @Test("A deadline ends the call in time at the caller and at the task", arguments: Pairing.all)
        func deadline(_ pairing: Pairing) async throws {
            try await Mesh.with(.init(server: pairing.server)) { mesh in
                _ = try await mesh.call("deadline", client: pairing.client)
                try await mesh.tasks.gaveUp(["Unary", "ClientStream", "ServerStream", "Bidi"])
            }
        }

        @Test("A cancelled call is cancelled at the task at once", arguments: Pairing.all)
        func cancellation(_ pairing: Pairing) async throws {
            try await Mesh.with(.init(server: pairing.server)) { mesh in
                _ = try await mesh.call("cancellation", client: pairing.client)
                try await mesh.tasks.gaveUp(["ServerStream", "Bidi"])
            }
        }

        @Test("A stream that is quiet for longer than the keepalive interval stays up")
        func quiet() async throws {
            try await Processes.scope { processes in
                let tasks = try await TaskServer.start(1, .sync)
                processes.adopt(tasks.peer.child)
                let file = try ConfigurationFile(
                    """
                    listeners: [{name: mesh, listen: "127.0.0.1:0"}]
                    routes: [{cluster: tasks}]
                    clusters:
                      tasks:
                        discover: "static://\(TaskServer.address(0)):\(tasks.port)"
                        keepalive: {interval: 500ms}
                    """)
                let ekiden = try await EkidenProcess.run(file)
                processes.adopt(ekiden.child)
                // A grpcio server closes the connection at the third PING without data between: "too_many_pings".
                _ = try await Client.run("quiet", target: ekiden.target, ["--timeout", "6"])
            }
        }
    }
}

extension TaskServer {
    /// Returns when the tasks have noticed for each of these methods that a caller has gone.
    func gaveUp(_ methods: Set<String>) async throws {
        for method in methods {
            try await peer.noticed(method)
        }
    }
}

extension PeerProcess {
    fileprivate func noticed(_ method: String) async throws {
        // Whose clock is first, the caller's reset or the task's own deadline, is open; both are right.
        _ = try await child.output.first(within: .seconds(10), "the end of \(method)") { line in
            guard let event = PeerEvent(line: line), event.method == method else { return nil as Bool? }
            return event.event == "cancelled" || event.event == "expired" ? true : nil
        }
    }
}
