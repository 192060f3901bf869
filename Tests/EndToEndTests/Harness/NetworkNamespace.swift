import Foundation

/// A network of the test's own: addresses, links and losses that nobody else sees.
///
/// It has no name and lives as long as a process in it: when the test ends, however it ends, the kernel takes it away
/// with all its links.
final class NetworkNamespace: Sendable {
    /// Where processes are started now; nil for the machine's own network.
    @TaskLocal static var current: NetworkNamespace?

    /// Whether this machine lets us make one: it takes root, and a kernel with namespaces and veth.
    static let isAvailable: Bool = {
        let probe = Process()
        probe.executableURL = URL(fileURLWithPath: "/bin/sh")
        probe.arguments = ["-c", "unshare --net ip link add probe0 type veth peer name probe1"]
        probe.standardOutput = FileHandle.nullDevice
        probe.standardError = FileHandle.nullDevice
        guard (try? probe.run()) != nil else { return false }
        probe.waitUntilExit()
        return probe.terminationStatus == 0
    }()

    /// A process that does nothing but be in it.
    let holder: ChildProcess

    /// A namespace with a loopback device that is up.
    static func make(_ processes: Processes) async throws -> NetworkNamespace {
        let holder = try ChildProcess("namespace", URL(fileURLWithPath: "/usr/bin/env"), ["unshare", "--net", "cat"])
        processes.adopt(holder)
        // What comes back has passed through `cat`, so `unshare` has done its work.
        try holder.send("here")
        _ = try await holder.output.first("the namespace") { $0 == "here" ? true : nil }
        let namespace = NetworkNamespace(holder)
        try await namespace.run("ip link set lo up")
        return namespace
    }

    private init(_ holder: ChildProcess) {
        self.holder = holder
    }

    /// The arguments of `env` that start a program in here.
    func entry(_ executable: URL, _ arguments: [String]) -> [String] {
        ["nsenter", "--net=/proc/\(holder.processID)/ns/net", executable.path] + arguments
    }

    /// Runs a shell's commands in here; the first that fails is the test's error.
    func run(_ commands: String...) async throws {
        try await Self.$current.withValue(self) {
            let shell = try ChildProcess(
                "sh", URL(fileURLWithPath: "/bin/sh"), ["-exc", commands.joined(separator: "\n")])
            guard try await shell.exitCode() == 0 else {
                throw HarnessError("the network could not be set up:\n\(shell.transcript)")
            }
        }
    }

    /// A link between two namespaces, `name` on both sides.
    func link(to other: NetworkNamespace, _ name: String) async throws {
        try await run("ip link add \(name) type veth peer name \(name) netns \(other.holder.processID)")
        for end in [self, other] { try await end.run("ip link set \(name) up") }
    }
}
