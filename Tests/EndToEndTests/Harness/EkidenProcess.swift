import Foundation
import NIOCore
import NIOPosix

/// The product under test, running.
final class EkidenProcess: Sendable {
    let child: ChildProcess
    /// `host:port` or `unix:/path` of each listener, by its name.
    let listeners: [String: String]
    /// `host:port` of the admin server.
    let admin: String
    /// Kept for as long as the process may read it again.
    private let file: ConfigurationFile?

    /// `ekiden run`, returned when `listenerCount` listeners accept. Port 0 takes a free one.
    static func run(
        _ arguments: [String], admin: String, file: ConfigurationFile? = nil, listenerCount: Int = 1
    ) async throws -> EkidenProcess {
        let child = try ChildProcess("ekiden", try Programs.ekiden(), ["run"] + arguments)
        do {
            let listeners = try await ListeningLine.await(from: child, count: listenerCount)
            return EkidenProcess(child: child, listeners: listeners, admin: admin, file: file)
        } catch {
            await child.end()
            throw HarnessError("\(error)\n\(child.transcript)")
        }
    }

    /// `ekiden run -c` with this file.
    static func run(_ file: ConfigurationFile, listenerCount: Int = 1) async throws -> EkidenProcess {
        try await run(["-c", file.url.path], admin: file.admin, file: file, listenerCount: listenerCount)
    }

    private init(child: ChildProcess, listeners: [String: String], admin: String, file: ConfigurationFile?) {
        self.child = child
        self.listeners = listeners
        self.admin = admin
        self.file = file
    }

    /// Where a gRPC client is pointed at, when there is one listener.
    var target: String {
        listeners.first?.value ?? ""
    }

    /// GET on the admin server.
    func get(_ path: String) async throws -> HTTPAnswer {
        try await Curl.get("http://\(admin)\(path)")
    }

    /// Waits for a line of the log (stderr) that contains `text`, in any case of letters.
    @discardableResult
    func log(_ text: String, after position: Int = 0, within limit: Duration = .seconds(30)) async throws -> String {
        do {
            return try await child.errors.first(after: position, within: limit, "a log line with '\(text)'") { line in
                line.lowercased().contains(text) ? line : nil
            }
        } catch {
            throw HarnessError("\(error)\n\(child.transcript)")
        }
    }

    /// Resident memory in bytes.
    func residentBytes() throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(child.processID)/status", encoding: .utf8)
        guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") }),
            let kibibytes = line.split(separator: " ").compactMap({ Int($0) }).first
        else { throw HarnessError("/proc/\(child.processID)/status has no VmRSS") }
        return kibibytes * 1024
    }
}

/// The log line that says where a listener accepts: `listening mesh 127.0.0.1:43211`. Only here its form is known.
enum ListeningLine {
    static func await(from child: ChildProcess, count: Int) async throws -> [String: String] {
        var listeners: [String: String] = [:]
        var position = 0
        while listeners.count < count {
            let found = try await child.errors.first(
                after: position, within: .seconds(30), "\(count) listening line(s)", parse)
            // Lines may have come meanwhile: look at all of them, in order, next time from behind this one.
            let lines = child.errors.all
            position = (lines[position...].firstIndex { parse($0) == found } ?? lines.endIndex - 1) + 1
            if found.name != "admin" { listeners[found.name] = found.address }
        }
        return listeners
    }

    struct Listener: Equatable, Sendable {
        var name: String
        var address: String
    }

    @Sendable static func parse(_ line: String) -> Listener? {
        let form = /listening\s+(?:on\s+)?(?:(\S+)\s+)?(unix:\S+|\S+:\d+)$/
        guard let match = line.firstMatch(of: form) else { return nil }
        // A listener without a name is called by its address.
        return Listener(name: String(match.1 ?? match.2), address: String(match.2))
    }
}

/// A configuration file of one test, in a directory of its own.
final class ConfigurationFile: Sendable {
    let url: URL
    let admin: String
    private let directory: URL

    /// `text` without `admin`, which is added with a free port.
    init(_ text: String) throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("ekiden-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        url = directory.appendingPathComponent("ekiden.yaml")
        admin = "127.0.0.1:\(try FreePort.next())"
        try write(text)
    }

    deinit {
        try? FileManager.default.removeItem(at: directory)
    }

    func write(_ text: String) throws {
        try Data("admin: {listen: \"\(admin)\"}\n\(text)\n".utf8).write(to: url)
    }
}

enum FreePort {
    /// A port of 127.0.0.1 that was free a moment ago.
    static func next() throws -> Int {
        let channel = try ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).wait()
        defer { try? channel.close().wait() }
        guard let port = channel.localAddress?.port else { throw HarnessError("no free port on 127.0.0.1") }
        return port
    }
}
