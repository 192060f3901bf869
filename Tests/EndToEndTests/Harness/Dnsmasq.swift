import Foundation
import Synchronization

/// A real DNS server that answers from a file of hosts, on a port that stays the same while it comes and goes.
final class Dnsmasq: Sendable {
    let port: Int
    private let hosts: URL
    private let running = Mutex<Running?>(nil)

    private struct Running {
        var shell: ChildProcess
        var server: Int32
    }

    /// Starts the server, says its process, and ends it when our end of stdin closes. It needs a shell around it: it
    /// closes the descriptors that it inherits, which Foundation takes for its end and then waits for it. And it needs `env`:
    /// the threads of a test block signals, and a child inherits that.
    private static let script = #"env --default-signal "$@" </dev/null & echo $!; cat; kill -9 $!; wait"#

    init() throws {
        port = try FreePort.next()
        hosts = FileManager.default.temporaryDirectory.appendingPathComponent("ekiden-hosts-\(UUID().uuidString)")
    }

    deinit {
        running.withLock { $0 }?.shell.closeInput()
        try? FileManager.default.removeItem(at: hosts)
    }

    /// Lines of the hosts file: `127.0.1.1 users.test`. They count from the next start or reload on.
    func write(_ lines: [String]) throws {
        try Data(lines.map { $0 + "\n" }.joined().utf8).write(to: hosts)
        // It reads them after it has given up root's rights.
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: hosts.path)
    }

    /// - Parameter services: SRV records, `_grpc._tcp.users.test,target,port`.
    func start(services: [String]) async throws {
        let arguments =
            [
                "--keep-in-foreground", "--log-facility=-", "--conf-file=/dev/null", "--pid-file=", "--no-resolv",
                "--no-hosts", "--addn-hosts=\(hosts.path)", "--local=/test/", "--local-ttl=1", "--port=\(port)",
                "--listen-address=127.0.0.1", "--bind-interfaces",
            ] + services.map { "--srv-host=\($0)" }
        let shell = try ChildProcess(
            "dnsmasq", URL(fileURLWithPath: "/bin/sh"),
            ["-c", Self.script, "sh", try Programs.dnsmasq().path] + arguments)
        do {
            let server = try await shell.output.first("its process") { Int32($0) }
            running.withLock { $0 = Running(shell: shell, server: server) }
            // It has its sockets before it reads the file.
            _ = try await shell.errors.first(within: .seconds(10), "its hosts") { $0.contains(" read ") ? true : nil }
        } catch {
            await shell.end()
            throw HarnessError("\(error)\n\(shell.transcript)")
        }
    }

    /// Has it read the hosts again.
    func reload() {
        if let server = running.withLock({ $0 })?.server { kill(server, SIGHUP) }
    }

    func stop() async throws {
        let shell = running.withLock { running in
            defer { running = nil }
            return running?.shell
        }
        shell?.closeInput()
        _ = try await shell?.exitCode()
    }
}
