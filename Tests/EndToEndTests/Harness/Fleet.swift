import Foundation

/// Echo tasks in one process, each named after its address and all on one port.
final class Fleet: Sendable {
    let peer: PeerProcess
    let port: Int

    /// - Parameters:
    ///   - services: what the tasks' health service says SERVING to, besides the empty name.
    ///   - arguments: further ones of the server.
    static func start(
        _ addresses: [String], port: Int = 0, services: [String] = [], arguments more: [String] = []
    ) async throws -> Fleet {
        var port = port
        if port == 0 { port = try FreePort.next() }
        var arguments = services.flatMap { ["--service", $0] } + more
        for address in addresses { arguments += ["--task", "\(address)=\(place(address, port))"] }
        let fleet = Fleet(try PeerProcess.python(Flavour.aio.server, arguments), port)
        do {
            try await fleet.peer.event("ready")
            guard fleet.peer.events.count(where: { $0.event == "listening" }) == addresses.count else {
                throw HarnessError("not all tasks listen\n\(fleet.peer.child.transcript)")
            }
            return fleet
        } catch {
            await fleet.peer.child.end()
            throw error
        }
    }

    private init(_ peer: PeerProcess, _ port: Int) {
        self.peer = peer
        self.port = port
    }

    /// `127.0.1.1`, `127.0.1.2` …
    static func addresses(_ range: ClosedRange<Int>) -> [String] { range.map { "127.0.1.\($0)" } }

    private static func place(_ address: String, _ port: Int) -> String {
        "\(address.contains(":") ? "[\(address)]" : address):\(port)"
    }

    /// What a cluster with just these endpoints discovers.
    func discover(_ addresses: [String]) -> String {
        "static://" + addresses.map { Self.place($0, port) }.joined(separator: ",")
    }

    func add(_ address: String) async throws {
        try peer.command(["command": "start", "name": address, "listen": Self.place(address, port)])
        try await peer.event("listening") { $0.name == address }
    }

    /// As a server that is told to leave: GOAWAY, and calls finish. Returns when the task is gone.
    func stop(_ address: String) async throws {
        try peer.command(["command": "stop", "name": address])
        try await peer.event("stopped") { $0.name == address }
    }

    /// From now on the task answers unary calls with this gRPC status; 0 makes it well again.
    func fail(_ address: String, _ code: Int) async throws {
        let position = peer.position
        try peer.command(["command": "fail", "name": address, "code": "\(code)"])
        try await peer.event("failing", after: position)
    }

    /// What the task's health service says from now on.
    func serve(_ address: String, _ isServing: Bool) async throws {
        let position = peer.position
        try peer.command(["command": "health", "name": address, "serving": "\(isServing)"])
        try await peer.event("health", after: position)
    }

    /// Calls by task since the start.
    func calls() async throws -> [String: Int] {
        let position = peer.position
        try peer.command("stats")
        return (try await peer.event("stats", after: position).tasks ?? [:]).mapValues(\.calls)
    }

    /// As a host that fails: no GOAWAY, and whatever is in flight is lost.
    /// - Returns: when it began and when all was over, in seconds as ``Moment`` counts.
    func kill() async throws -> ClosedRange<Double> {
        let before = Moment.now
        peer.child.deliver(SIGKILL)
        _ = try await peer.child.exitCode()
        return before...Moment.now
    }
}

/// A task that ends on SIGTERM as a gRPC server should: GOAWAY, and every call is finished.
final class GracefulTask: Sendable {
    let child: ChildProcess

    static func start(_ address: String, port: Int) async throws -> GracefulTask {
        let host = address.contains(":") ? "[\(address)]" : address
        let child = try ChildProcess(
            "task \(address)", try Programs.ekiden(), ["echo", "--listen", "\(host):\(port)", "--name", address])
        do {
            _ = try await ListeningLine.await(from: child, count: 1)
            return GracefulTask(child)
        } catch {
            await child.end()
            throw HarnessError("\(error)\n\(child.transcript)")
        }
    }

    private init(_ child: ChildProcess) {
        self.child = child
    }

    func stop() async throws {
        child.deliver(SIGTERM)
        guard try await child.exitCode() == 0 else { throw HarnessError("\(child.name) did not leave in peace") }
    }
}
