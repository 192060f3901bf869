import Control
import Logging
import NIOCore
import NIOPosix
import Policy
import UnixSignals

/// The demo from curtain to curtain: puts tasks, name server, mesh and load together, lets the script happen, and
/// shows it.
struct Demo: Sendable {
    let mesh: FreeAddress
    let admin: FreeAddress
    let rps: Int
    /// nil runs until interrupted.
    let duration: Duration?
    let screen: DemoScreen
    let logger: Logger

    private static let actInterval: Duration = .seconds(7)
    /// How long DNS goes on naming a killed task: about what ECS takes to notice.
    private static let deregistrationDelay: Duration = .seconds(3)
    /// At the end: for the load's last calls, and for callers that joined.
    private static let lastCallsPatience: Duration = .seconds(3)
    private static let guestsPatience: Duration = .seconds(2)

    /// Runs until a signal, or until the time is over.
    /// - Throws: ``DemoProblem``, ``Control/InvalidConfiguration``; `ExitCodes.forced` after a second signal.
    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sigquit)
        let (ending, end) = AsyncStream<Void>.makeStream()
        let isForced = try await withThrowingTaskGroup(of: Bool?.self) { tasks in
            tasks.addTask {
                var count = 0
                for await _ in signals {
                    count += 1
                    if count == 2 { return true }
                    end.finish()
                }
                return nil
            }
            if let duration {
                tasks.addTask {
                    try? await ContinuousClock().sleep(for: duration)
                    end.finish()
                    return nil
                }
            }
            tasks.addTask {
                try await show(until: ending)
                return false
            }
            defer { tasks.cancelAll() }
            while let outcome = try await tasks.next() {
                if let outcome { return outcome }
            }
            return false
        }
        if isForced { throw ExitCodes.forced }
    }

    private func show(until ending: AsyncStream<Void>) async throws {
        // One loop for the tasks and their name server, one for the load.
        let stage = try await DemoStage.start(on: MultiThreadedEventLoopGroup(numberOfThreads: 1))
        let ekiden = try await DemoMesh(
            listen: mesh.address, admin: admin.address, upstream: .dns(name: DemoStage.name, port: stage.port),
            nameServer: stage.nameServer, logger: logger, onMembership: { showMembership($0) })
        let load = try await LoadGenerator(
            target: try ekiden.address.reachable(), authority: DemoStage.name, rps: rps,
            loop: MultiThreadedEventLoopGroup(numberOfThreads: 1).next())
        let tally = DemoTally()

        showOpening(stage)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await ekiden.run() }
            try await ekiden.becomeReady()
            try await load.start()
            tasks.addTask {
                try await withThrowingTaskGroup(of: Void.self) { acts in
                    acts.addTask { await play(on: stage, tally) }
                    acts.addTask { try await watch(load, ekiden, stage, tally) }
                    acts.addTask { for await _ in ending {} }
                    try await acts.next()
                    acts.cancelAll()
                }
                try await load.finish(patience: Self.lastCallsPatience)
                await tally.count(try await load.takeSample())
                await ekiden.drain(timeout: Self.guestsPatience)
                await stage.close()
            }
            // Ends when the show does; the mesh alone does not end but by an error.
            try await tasks.next()
            tasks.cancelAll()
        }
        screen.plain("\n" + (await tally.summary))
    }

    // MARK: What happens

    /// Lets the script happen until cancelled.
    private func play(on stage: DemoStage, _ tally: DemoTally) async {
        var script = DemoScript()
        var random = SystemRandomNumberGenerator()
        await withDiscardingTaskGroup { aftermath in
            while true {
                guard (try? await ContinuousClock().sleep(for: Self.actInterval)) != nil else { return }
                let act = script.next(running: await stage.running, using: &random)
                await tally.count(act)
                switch act {
                case .kill(let address):
                    screen.event(.kill, "\(address) dies without a word; DNS goes on naming it, as on ECS")
                    await stage.kill(address)
                    aftermath.addTask {
                        try? await ContinuousClock().sleep(for: Self.deregistrationDelay)
                        if Task.isCancelled { return }
                        screen.event(.dns, "\(address) is deregistered")
                        await stage.deregister(address)
                    }
                case .drain(let address):
                    screen.event(.drain, "\(address) leaves DNS, says GOAWAY and finishes its calls")
                    await stage.drain(address) { screen.event(.drain, "\(address) has finished and is gone") }
                case .add:
                    do {
                        screen.event(.add, "\(try await stage.add()) starts and enters DNS")
                    } catch {
                        screen.event(.add, "no task could start: \(error)")
                    }
                }
            }
        }
    }

    // MARK: What is seen

    /// Shows a line a second until cancelled, or until nobody reads them.
    private func watch(
        _ load: LoadGenerator, _ ekiden: DemoMesh, _ stage: DemoStage, _ tally: DemoTally
    ) async throws {
        let clock = ContinuousClock()
        var next = clock.now
        var repairs = ekiden.repairs
        while !screen.isUnread {
            next += .seconds(1)
            guard (try? await clock.sleep(until: next)) != nil else { return }
            let sample = try await load.takeSample()
            await tally.count(sample)
            showRepairs(ekiden.repairs - repairs)
            repairs = ekiden.repairs
            screen.second(sample, tasks: await stage.visible.map(\.description))
            for (failure, count) in sample.failures.sorted(by: { $0.value > $1.value }) {
                screen.failure(failure, count: count)
            }
        }
    }

    private func showOpening(_ stage: DemoStage) {
        let tasks = "\(DemoStage.firstTasks) gRPC tasks behind \(DemoStage.name):\(stage.port)"
        screen.plain(
            "ekiden \(Version.number) demo: \(tasks) (TTL \(DemoStage.ttl) s), \(rps) calls/s, 10 streams")
        screen.plain("  mesh   \(mesh.address)\(mesh.note): any gRPC client may join, without TLS")
        screen.plain("  admin  \(admin.url)\(admin.note): /metrics, /clusters, /ready")
        screen.plain("")
        if case .ip = mesh.address {
            screen.plain("grpcurl -plaintext -proto protos/echo.proto \(mesh.address) ekiden.echo.v1.Echo/Unary")
        }
        screen.plain(
            """
            python3 -c 'import grpc; mesh = grpc.insecure_channel("\(mesh.address)")
            print(mesh.unary_unary("/ekiden.echo.v1.Echo/Unary")(b""))'

            """)
    }

    private func showMembership(_ change: DemoMembershipChange) {
        let changes = change.added.map { "+\($0)" } + change.removed.map { "-\($0)" }
        screen.event(.ekiden, "endpoints \(changes.joined(separator: " ")), now \(change.count)")
    }

    private func showRepairs(_ repairs: DemoRepairs) {
        if repairs == DemoRepairs() { return }
        let connects = repairs.connectFailures == 1 ? "1 connect failed" : "\(repairs.connectFailures) connects failed"
        let moved = repairs.movedStreams == 1 ? "1 call was" : "\(repairs.movedStreams) calls were"
        screen.event(.ekiden, "\(connects); \(moved) given to another task")
    }
}

extension FreeAddress {
    /// Why it is not the usual one.
    fileprivate var note: String {
        taken.map { " (\($0) is taken)" } ?? ""
    }

    /// Where to look, for an admin server.
    fileprivate var url: String {
        if case .ip = address { "http://\(address)/" } else { "\(address)" }
    }
}

extension ListenAddress {
    /// The address to connect to: a wildcard is reached on loopback.
    fileprivate func reachable() throws -> SocketAddress {
        switch self {
        case .ip("0.0.0.0", let port): try SocketAddress(ipAddress: "127.0.0.1", port: port)
        case .ip("::", let port): try SocketAddress(ipAddress: "::1", port: port)
        case .ip(let host, let port): try SocketAddress(ipAddress: host, port: port)
        case .unix(let path): try SocketAddress(unixDomainSocketPath: path)
        }
    }
}
