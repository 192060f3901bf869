import Foundation

/// Echo tasks in one process, each named after its address and all on one port.
final class Fleet: Sendable {
    let peer: PeerProcess
    let port: Int

    /// - Parameter services: what the tasks' health service says SERVING to, besides the empty name.
    static func start(_ addresses: [String], port: Int = 0, services: [String] = []) async throws -> Fleet {
        var port = port
        if port == 0 { port = try FreePort.next() }
        var arguments = services.flatMap { ["--service", $0] }
        for address in addresses {
            arguments += ["--task", "\(address)=\(address.contains(":") ? "[\(address)]" : address):\(port)"]
        }
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
