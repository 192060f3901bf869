import ArgumentParser
import Control
import HTTP2
import Logging
import NIOCore
import NIOPosix
import Policy
import UnixSignals

/// `ekiden echo`: a gRPC task to put behind the mesh.
struct EchoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "echo",
        abstract: "Run a gRPC echo task that says who answered and what it saw.",
        discussion: """
            Serves ekiden.echo.v1.Echo (protos/echo.proto) and grpc.health.v1.Health with HTTP/2 prior knowledge. \
            Requests may ask for delays, statuses and sizes themselves; the flags are for callers that don't.
            """)

    @Option(help: "Where to listen: ADDRESS:PORT or unix:/PATH.")
    var listen = "127.0.0.1:50051"

    @Option(help: "The task's name, part of every response. [default: the address]")
    var name: String?

    @Option(help: "Wait before every response: 20ms, 1s.")
    var delay = "0"

    @Option(help: "Share of calls that fail, 0 to 1.")
    var errorRate = 0.0

    @Option(help: "The gRPC status of calls that fail, 1 to 16.")
    var status = GRPCStatus.unavailable.rawValue

    @Option(help: "Bytes of each response's payload. [default: as many as came]")
    var messageSize: Int?

    private static let drainTimeout: Duration = .seconds(25)

    func validate() throws {
        guard (0...1).contains(errorRate) else { throw ValidationError("--error-rate goes from 0 to 1") }
        guard (1...16).contains(status) else { throw ValidationError("--status goes from 1 to 16") }
        if let messageSize, messageSize < 0 { throw ValidationError("--message-size can't be negative") }
    }

    func run() async throws {
        let logger = try ProcessLog.start(level: nil, environment: ProcessEnvironment.variables)
        let address: ListenAddress
        var behaviour = EchoBehaviour(name: name ?? listen)
        do {
            address = try ListenAddress(parsing: listen)
        } catch {
            throw ValidationError("--listen: \(error)")
        }
        do {
            behaviour.delay = delay == "0" ? .zero : try Duration(parsing: delay)
        } catch {
            throw ValidationError("--delay: \(error)")
        }
        behaviour.errorRate = errorRate
        behaviour.errorStatus = GRPCStatus(rawValue: status) ?? .unavailable
        behaviour.messageSize = messageSize

        _ = ProcessEnvironment.raiseDescriptorLimit()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let server: EchoServer
        do {
            server = try await EchoServer(listen: address, behaviour: behaviour, loop: group.next())
        } catch {
            ProcessLog.printError("ekiden echo: error: cannot listen on \(address): \(error)")
            throw ExitCodes.failure
        }
        logger.info("listening \(behaviour.name) \(server.address)")
        for await signal in signals {
            logger.info("draining: \(signal) received")
            break
        }
        await server.stopGracefully(timeout: Self.drainTimeout)
    }
}
