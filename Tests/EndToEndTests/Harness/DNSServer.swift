import Foundation

/// The scripted DNS server.
final class DNSServer: Sendable {
    static let name = "tasks.local"

    let child: ChildProcess
    let port: Int

    /// A server that answers for ``name`` with these addresses, all with a TTL of a second.
    static func start(_ addresses: [String]) async throws -> DNSServer {
        let path = Programs.peers.appendingPathComponent("dns_server.py").path
        let child = try ChildProcess("dns_server.py", try Programs.python(), ["-u", path])
        struct Ready: Decodable { var port: Int }
        let port = try await child.output.first("its port") { line in
            try? JSONDecoder().decode(Ready.self, from: Data(line.utf8)).port
        }
        let server = DNSServer(child: child, port: port)
        try await server.answer(addresses)
        return server
    }

    private init(child: ChildProcess, port: Int) {
        self.child = child
        self.port = port
    }

    /// From the next query on.
    func answer(_ addresses: [String]) async throws {
        let records = addresses.map { "\"\($0)\"" }.joined(separator: ", ")
        try await command(#"{"cmd": "records", "records": {"\#(Self.name)": {"A": [\#(records)]}}, "ttl": 1}"#)
    }

    /// `normal`, `servfail`, `nxdomain`, `drop` …, from the next query on.
    func mode(_ mode: String) async throws {
        try await command(#"{"cmd": "mode", "mode": "\#(mode)"}"#)
    }

    /// Queries for ``name`` and any type since the start.
    func queries() async throws -> Int {
        struct Stats: Decodable { var queries: [String: Int] }
        let answer = try await exchange(#"{"cmd": "stats"}"#)
        let stats = try JSONDecoder().decode(Stats.self, from: Data(answer.utf8))
        return stats.queries.filter { $0.key.hasPrefix(Self.name) }.values.reduce(0, +)
    }

    private func command(_ line: String) async throws {
        let answer = try await exchange(line)
        guard answer.contains("\"ok\"") else { throw HarnessError("dns_server.py: \(answer) to \(line)") }
    }

    private func exchange(_ line: String) async throws -> String {
        let position = child.output.all.count
        try child.send(line)
        return try await child.output.first(after: position, "an answer to \(line)") { $0 }
    }
}
