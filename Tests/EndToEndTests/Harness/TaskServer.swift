import Testing

/// Which of grpcio's two implementations a Python peer runs on.
enum Flavour: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case sync
    case aio

    var server: String { self == .sync ? "grpc_server.py" : "grpc_server_aio.py" }
    var client: String { self == .sync ? "grpc_client.py" : "grpc_client_aio.py" }
    var testDescription: String { rawValue }
}

/// Echo tasks in one process, each on an address of its own and all on one port, as the tasks behind one DNS name are.
final class TaskServer: Sendable {
    let peer: PeerProcess
    let port: Int

    /// `task-a` on 127.0.0.2, `task-b` on 127.0.0.3 …
    static func start(_ count: Int, _ flavour: Flavour, arguments: [String] = []) async throws -> TaskServer {
        let first = TaskServer.name(0)
        let peer = try PeerProcess.python(
            flavour.server, ["--task", "\(first)=\(address(0)):0"] + arguments)
        guard let port = try await peer.event("listening").port else { throw HarnessError("task-a has no port") }
        let server = TaskServer(peer: peer, port: port)
        for index in 1..<max(count, 1) {
            try await server.add(index)
        }
        return server
    }

    private init(peer: PeerProcess, port: Int) {
        self.peer = peer
        self.port = port
    }

    static func name(_ index: Int) -> String { "task-\(["a", "b", "c", "d", "e", "f"][index])" }
    static func address(_ index: Int) -> String { "127.0.0.\(index + 2)" }
    static func names(_ count: Int) -> Set<String> { Set((0..<count).map(name)) }

    func add(_ index: Int) async throws {
        let name = TaskServer.name(index)
        try peer.command(["command": "start", "name": name, "listen": "\(TaskServer.address(index)):\(port)"])
        try await peer.event("listening") { $0.name == name }
    }

    /// Graceful: GOAWAY, and the calls in flight finish. Returns when the task is gone.
    func remove(_ index: Int) async throws {
        let name = TaskServer.name(index)
        try peer.command(["command": "stop", "name": name])
        try await peer.event("stopped") { $0.name == name }
    }

    /// What each task has seen.
    func stats() async throws -> [String: TaskCounts] {
        let position = peer.position
        try peer.command("stats")
        return try await peer.event("stats", after: position).tasks ?? [:]
    }
}
