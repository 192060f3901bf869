import ArgumentParser
import Control
import Policy

/// `ekiden demo`: the whole mesh in one process, with tasks that come and go.
struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Show Ekiden at work: gRPC tasks that come and go, and a load that should not notice.",
        discussion: """
            Starts three echo tasks on 127.0.0.2 to .4, a DNS server that answers for them, Ekiden in front, and a \
            steady load. Every few seconds a task is killed, added or drained; one line a second says who answered \
            and how fast. A gRPC client of your own may join at the mesh port. Ctrl-C ends it.
            """)

    @Option(help: "Where callers connect: ADDRESS:PORT or unix:/PATH. [default: 127.0.0.1:15001, else a free port]")
    var listen: String?

    @Option(help: "Where the admin server listens, loopback only. [default: 127.0.0.1:9901, else a free port]")
    var admin: String?

    @Option(help: "Unary calls per second, beside a new server stream every 100 ms.")
    var rps = 200

    @Option(help: "End by itself after this long: 30s, 5m. [default: runs until interrupted]")
    var duration: String?

    @Flag(help: "Print the lines of the seconds and the failures only, not what happens to the tasks.")
    var quietEvents = false

    @Flag(help: "Let the proxy log info lines, not only warnings.")
    var verbose = false

    private static let defaultListen = ListenAddress.ip(host: "127.0.0.1", port: 15_001)
    private static let defaultAdmin = ListenAddress.ip(host: "127.0.0.1", port: 9_901)
    private static let rpsMax = 20_000

    func validate() throws {
        guard (1...Self.rpsMax).contains(rps) else { throw ValidationError("--rps goes from 1 to \(Self.rpsMax)") }
        _ = try runTime()
        _ = try address(listen, "--listen")
        _ = try address(admin, "--admin")
    }

    func run() async throws {
        let logger = try ProcessLog.start(level: verbose ? "info" : "warning", environment: [:])
        _ = ProcessEnvironment.raiseDescriptorLimit()
        do {
            let mesh = try await FreeAddress.find(try address(listen, "--listen"), else: Self.defaultListen)
            let admin = try await FreeAddress.find(try address(admin, "--admin"), else: Self.defaultAdmin)
            let demo = Demo(
                mesh: mesh, admin: admin, rps: rps, duration: try runTime(),
                screen: DemoScreen(showsEvents: !quietEvents), logger: logger)
            try await demo.run()
        } catch let problem as DemoProblem {
            ProcessLog.printError("ekiden demo: error: \(problem)")
            throw ExitCodes.failure
        } catch let invalid as InvalidConfiguration {
            ProcessLog.printError(invalid.rendered(color: ProcessLog.hasColor))
            throw ExitCodes.usage
        }
    }

    private func runTime() throws -> Duration? {
        guard let duration else { return nil }
        do throws(ValueSyntaxError) {
            let time = try Duration(parsing: duration)
            guard time > .zero else { throw ValueSyntaxError("'\(duration)' is no time at all") }
            return time
        } catch {
            throw ValidationError("--duration: \(error)")
        }
    }

    private func address(_ text: String?, _ flag: String) throws -> ListenAddress? {
        guard let text else { return nil }
        do throws(ValueSyntaxError) {
            return try ListenAddress(parsing: text)
        } catch {
            throw ValidationError("\(flag): \(error)")
        }
    }
}
