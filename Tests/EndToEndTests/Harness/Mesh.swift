import Foundation
import Testing

/// Ekiden in front of echo tasks: what most tests need.
struct Mesh: Sendable {
    /// How a mesh is set up.
    struct Plan: Sendable {
        var tasks = 3
        var server = Flavour.sync
        var serverArguments: [String] = []
        var workers = 1
        var balance = "round_robin"
        var discovery = Discovery.dns
        var listen = "127.0.0.1:0"

        enum Discovery: Sendable {
            case dns
            case fixed
        }
    }

    let ekiden: EkidenProcess
    let tasks: TaskServer
    /// Nil with fixed endpoints.
    let dns: DNSServer?

    /// Starts all, runs `body`, checks that the proxy let go of everything, and ends all. A failure comes with what the
    /// processes said.
    static func with(_ plan: Plan = Plan(), _ body: (Mesh) async throws -> Void) async throws {
        try await Processes.scope { processes in
            let tasks = try await TaskServer.start(plan.tasks, plan.server, arguments: plan.serverArguments)
            processes.adopt(tasks.peer.child)
            let addresses = (0..<plan.tasks).map(TaskServer.address)
            var arguments = ["--listen", plan.listen, "--workers", "\(plan.workers)", "--balance", plan.balance]
            var dns: DNSServer?
            switch plan.discovery {
            case .dns:
                let server = try await DNSServer.start(addresses)
                processes.adopt(server.child)
                arguments += ["--upstream", "dns://\(DNSServer.name):\(tasks.port)"]
                arguments += ["--dns-server", "127.0.0.1:\(server.port)"]
                dns = server
            case .fixed:
                let list = addresses.map { "\($0):\(tasks.port)" }.joined(separator: ",")
                arguments += ["--upstream", "static://\(list)"]
            }
            let admin = "127.0.0.1:\(try FreePort.next())"
            let ekiden = try await EkidenProcess.run(arguments + ["--admin", admin], admin: admin)
            processes.adopt(ekiden.child)
            try await body(Mesh(ekiden: ekiden, tasks: tasks, dns: dns))
            try await ekiden.checkSettled()
        }
    }

    /// Runs a client's scenario to its end.
    func call(_ scenario: String, _ arguments: [String] = [], client: Flavour = .sync) async throws -> Facts {
        try await Client.run(scenario, target: ekiden.target, arguments, client)
    }
}

/// The processes of one test, ended when it ends.
final class Processes {
    private var children: [ChildProcess] = []

    static func scope(_ body: (Processes) async throws -> Void) async throws {
        let processes = Processes()
        do {
            try await body(processes)
        } catch {
            Issue.record("\(processes.children.map(\.transcript).joined(separator: "\n"))")
            await processes.end()
            throw error
        }
        await processes.end()
    }

    func adopt(_ child: ChildProcess) {
        children.append(child)
    }

    /// Callers first, tasks last.
    private func end() async {
        for child in children.reversed() {
            if let code = await child.end(), code < 0 {
                Issue.record("\(child.name) was ended by signal \(-code)\n\(child.transcript)")
            }
        }
    }
}

/// A Python client that runs one scenario.
final class Client: Sendable {
    let peer: PeerProcess

    /// Starts a scenario that goes on until it is told otherwise.
    init(_ scenario: String, target: String, _ arguments: [String] = [], _ flavour: Flavour = .sync) throws {
        peer = try PeerProcess.python(
            flavour.client, ["--target", target, "--scenario", scenario] + arguments)
    }

    /// Runs a scenario to its end; a check of the client that does not hold is the test's error.
    static func run(
        _ scenario: String, target: String, _ arguments: [String] = [], _ flavour: Flavour = .sync
    ) async throws -> Facts {
        let client = try Client(scenario, target: target, arguments, flavour)
        do {
            let facts = try await client.facts(within: .seconds(240))
            await client.peer.child.end()
            return facts
        } catch {
            await client.peer.child.end()
            throw error
        }
    }

    /// Tells the scenario to come to its end, and waits for what it found.
    func finish(_ command: String) async throws -> Facts {
        try peer.command(command)
        return try await facts(within: .seconds(120))
    }

    func facts(within limit: Duration) async throws -> Facts {
        let result = try await peer.event("result", within: limit)
        guard result.ok == true, let facts = result.facts else {
            throw HarnessError("\(peer.child.name): \(result.error ?? "no facts")\n\(peer.child.transcript)")
        }
        return facts
    }
}
