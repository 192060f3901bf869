import Foundation
import Synchronization

/// A real DNS server that answers from a file of hosts, on a port that stays the same while it comes and goes.
final class Dnsmasq: Sendable {
    let port: Int
    private let hosts: URL
    private let running = Mutex<ChildProcess?>(nil)

    init() throws {
        port = try FreePort.next()
        hosts = FileManager.default.temporaryDirectory.appendingPathComponent("ekiden-hosts-\(UUID().uuidString)")
    }

    deinit {
        running.withLock { $0 }?.deliver(SIGKILL)
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
        let child = try ChildProcess(
            "dnsmasq", try Programs.dnsmasq(),
            [
                "--keep-in-foreground", "--log-facility=-", "--conf-file=/dev/null", "--pid-file=", "--no-resolv",
                "--no-hosts", "--addn-hosts=\(hosts.path)", "--local=/test/", "--local-ttl=1", "--port=\(port)",
                "--listen-address=127.0.0.1", "--bind-interfaces",
            ] + services.map { "--srv-host=\($0)" })
        running.withLock { $0 = child }
        do {
            // It has its sockets before it reads the file.
            _ = try await child.errors.first(within: .seconds(10), "its hosts") { $0.contains(" read ") ? true : nil }
        } catch {
            throw HarnessError("\(error)\n\(child.transcript)")
        }
    }

    /// Has it read the hosts again.
    func reload() {
        running.withLock { $0 }?.deliver(SIGHUP)
    }

    func stop() async {
        let child = running.withLock { running in
            defer { running = nil }
            return running
        }
        await child?.end()
    }
}
