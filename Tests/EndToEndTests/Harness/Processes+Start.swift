/// Starts what a test of discovery needs, and has it ended with the test.
extension Processes {
    func dns() async throws -> DNSServer {
        let server = try await DNSServer.start()
        adopt(server.child)
        return server
    }

    func fleet(
        _ addresses: [String], port: Int = 0, services: [String] = [], arguments: [String] = []
    ) async throws -> Fleet {
        let fleet = try await Fleet.start(addresses, port: port, services: services, arguments: arguments)
        adopt(fleet.peer.child)
        return fleet
    }

    func gracefulTask(_ address: String, port: Int) async throws -> GracefulTask {
        let task = try await GracefulTask.start(address, port: port)
        adopt(task.child)
        return task
    }

    /// Ekiden with a listener, and with these clusters as flow mappings: `port: 1, discover: dns://tasks.local`. Calls
    /// go to the cluster whose name is their authority, else to the first.
    func ekiden(_ clusters: KeyValuePairs<String, String>, _ dns: DNSServer...) async throws -> EkidenProcess {
        try await ekiden(clusters, servers: dns.map { "127.0.0.1:\($0.port)" })
    }

    func ekiden(
        _ clusters: KeyValuePairs<String, String>, servers: [String], listen: String = "127.0.0.1:0"
    ) async throws -> EkidenProcess {
        let list = servers.map { "\"\($0)\"" }.joined(separator: ", ")
        let routes = clusters.map { "  - {match: {authority: \($0.key)}, cluster: \($0.key)}" }
        return try await ekiden(
            file: """
                listeners: [{name: mesh, listen: "\(listen)"}]
                dns: {servers: [\(list)], timeout: 500ms}
                routes:
                \(routes.joined(separator: "\n"))
                  - {cluster: \(clusters.first?.key ?? "")}
                clusters:
                \(clusters.map { "  \($0.key): {\($0.value)}" }.joined(separator: "\n"))
                """)
    }

    /// Ekiden with this configuration; `admin` is added to it.
    func ekiden(file text: String) async throws -> EkidenProcess {
        let ekiden = try await EkidenProcess.run(try ConfigurationFile(text))
        adopt(ekiden.child)
        return ekiden
    }

    /// Ekiden with one route and one cluster, both as what stands in a flow mapping.
    /// - Parameter listener: what its listener has beside name and address.
    func ekiden(route: String = "", cluster: String, listener: String = "") async throws -> EkidenProcess {
        func more(_ text: String) -> String { text.isEmpty ? "" : ", \(text)" }
        return try await ekiden(
            file: """
                listeners: [{name: mesh, listen: "127.0.0.1:0"\(more(listener))}]
                routes: [{cluster: tasks\(more(route))}]
                clusters: {tasks: {\(cluster)}}
                """)
    }

    func load(
        _ ekiden: EkidenProcess, rate: Int = TestScale.rate, delay: Duration = .zero, authorities: [String] = [],
        arguments: [String] = []
    ) async throws -> PacedLoad {
        let load = try await PacedLoad.start(
            ekiden.target, rate: rate, delay: delay, authorities: authorities, arguments: arguments)
        adopt(load.peer.child)
        return load
    }
}
