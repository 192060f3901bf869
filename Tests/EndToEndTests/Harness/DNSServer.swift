import Foundation

/// The scripted DNS server.
final class DNSServer: Sendable {
    static let name = "tasks.local"

    let child: ChildProcess
    let port: Int

    /// The records of one name.
    struct Records: Encodable, Sendable {
        /// Addresses of both families; each question gets those of its own.
        var addresses: [String] = []
        var services: [Service] = []
        var alias: String?
        /// At most so many records per answer, at random.
        var limit: Int?

        struct Service: Sendable {
            var priority = 0
            var weight = 1
            var port: Int
            var target: String
        }

        private enum Key: String, CodingKey {
            case a = "A"
            case aaaa = "AAAA"
            case srv = "SRV"
            case alias = "CNAME"
            case limit
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: Key.self)
            try container.encode(addresses.filter { !$0.contains(":") }, forKey: .a)
            try container.encode(addresses.filter { $0.contains(":") }, forKey: .aaaa)
            var list = container.nestedUnkeyedContainer(forKey: .srv)
            for service in services {
                var record = list.nestedUnkeyedContainer()
                for number in [service.priority, service.weight, service.port] { try record.encode(number) }
                try record.encode(service.target)
            }
            try container.encodeIfPresent(alias, forKey: .alias)
            try container.encodeIfPresent(limit, forKey: .limit)
        }
    }

    /// A server that knows no name. Its random answers are the same in each run.
    static func start() async throws -> DNSServer {
        let path = Programs.peers.appendingPathComponent("dns_server.py").path
        let child = try ChildProcess("dns_server.py", try Programs.python(), ["-u", path])
        struct Ready: Decodable { var port: Int }
        let port = try await child.output.first("its port") { line in
            try? JSONDecoder().decode(Ready.self, from: Data(line.utf8)).port
        }
        return DNSServer(child: child, port: port)
    }

    /// A server that answers for ``name`` with these addresses, all with a TTL of a second.
    static func start(_ addresses: [String]) async throws -> DNSServer {
        let server = try await start()
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

    /// What one name stands for, from the next query on.
    func answer(_ name: String, _ records: Records) async throws {
        let entry = String(decoding: try JSONEncoder().encode(records), as: UTF8.self)
        try await command(#"{"cmd": "set", "name": "\#(name)", "entry": \#(entry)}"#)
    }

    /// How the questions for one name are answered, from the next query on.
    func mode(_ mode: String, for name: String) async throws {
        try await command(#"{"cmd": "mode", "mode": "\#(mode)", "name": "\#(name)"}"#)
    }

    /// `normal`, `servfail`, `nxdomain`, `drop` …, from the next query on.
    func mode(_ mode: String) async throws {
        try await command(#"{"cmd": "mode", "mode": "\#(mode)"}"#)
    }

    /// Queries for ``name`` and any type since the start.
    func queries() async throws -> Int {
        try await counts().filter { $0.key.hasPrefix(Self.name) }.values.reduce(0, +)
    }

    /// Queries for a name and one type since the start.
    func queries(_ name: String, _ type: String) async throws -> Int {
        try await counts()["\(name) \(type)"] ?? 0
    }

    /// Returns when `count` more queries for a name and a type have come.
    func awaitQueries(_ count: Int, _ name: String, _ type: String, within limit: Duration = .seconds(60)) async throws
    {
        let before = try await queries(name, type)
        try await poll(within: limit, "\(count) queries for \(name) \(type)") {
            try await queries(name, type) >= before + count
        }
    }

    private func counts() async throws -> [String: Int] {
        struct Stats: Decodable { var queries: [String: Int] }
        let answer = try await exchange(#"{"cmd": "stats"}"#)
        return try JSONDecoder().decode(Stats.self, from: Data(answer.utf8)).queries
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
