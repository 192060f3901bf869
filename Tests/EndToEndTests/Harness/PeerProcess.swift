import Foundation

/// A peer that speaks JSON lines: events on stdout, commands on stdin.
final class PeerProcess: Sendable {
    let child: ChildProcess

    /// A Python peer of the `peers` folder.
    static func python(_ script: String, _ arguments: [String] = []) throws -> PeerProcess {
        let path = Programs.peers.appendingPathComponent(script).path
        return PeerProcess(
            child: try ChildProcess(
                script, try Programs.python(), ["-u", path] + arguments, environment: ["PYTHONDONTWRITEBYTECODE": "1"]))
    }

    /// A Ruby peer of the `peers` folder.
    static func ruby(_ script: String, _ arguments: [String]) throws -> PeerProcess {
        let path = Programs.peers.appendingPathComponent(script).path
        return PeerProcess(child: try ChildProcess(script, try Programs.ruby(), [path] + arguments))
    }

    private init(child: ChildProcess) {
        self.child = child
    }

    /// Events so far: a place to wait from.
    var position: Int { child.output.all.count }

    var events: [PeerEvent] { child.output.all.compactMap(PeerEvent.init(line:)) }

    /// The next event of a kind, after `position`.
    @discardableResult
    func event(
        _ kind: String, after position: Int = 0, within limit: Duration = .seconds(60),
        where matches: @escaping @Sendable (PeerEvent) -> Bool = { _ in true }
    ) async throws -> PeerEvent {
        do {
            return try await child.output.first(after: position, within: limit, "the event '\(kind)'") { line in
                guard let event = PeerEvent(line: line), event.event == kind, matches(event) else { return nil }
                return event
            }
        } catch {
            throw HarnessError("\(error)\n\(child.transcript)")
        }
    }

    func command(_ fields: [String: String]) throws {
        let data = try JSONSerialization.data(withJSONObject: fields)
        try child.send(String(decoding: data, as: UTF8.self))
    }

    func command(_ name: String) throws {
        try command(["command": name])
    }
}

/// One line of a peer. Which fields are there depends on the event.
struct PeerEvent: Decodable, Sendable {
    var event: String
    var name: String?
    var port: Int?
    var message: String?
    /// Of `cancelled` and `expired`: the method whose caller has gone.
    var method: String?
    // Of `result`.
    var ok: Bool?
    var error: String?
    var facts: Facts?
    /// Of the Ruby client's `result`: the interop case.
    var `case`: String?
    // Of `progress` and `held`.
    var split: [String: Int]?
    var failed: Int?
    var failures: [String]?
    // Of `stats` and `stopped`.
    var tasks: [String: TaskCounts]?
    /// Of `list`.
    var answers: [CallList.Answer]?

    init?(line: String) {
        guard let event = try? JSONDecoder().decode(PeerEvent.self, from: Data(line.utf8)) else { return nil }
        self = event
    }
}

/// What a client's scenario found out.
struct Facts: Decodable, Sendable {
    var calls: Int?
    var failed: Int?
    var failures: [String]?
    /// Answers by the name of the task.
    var split: [String: Int]?
    /// Connections used at each task.
    var connections: [String: Int]?
    var code: String?
    var message: String?
    var seconds: Double?
    var median_ms: Double?
    var max_ms: Double?
}

/// What a task has seen.
struct TaskCounts: Decodable, Sendable {
    var calls: Int
    var ok: Int
    var failed: Int
    var cancelled: Int
    var expired: Int
    var connections: Int
}
