import ArgumentParser
import Control
import NIOCore
import NIOPosix
import Policy

/// `ekiden healthcheck`: for container health checks, where there is no curl.
struct HealthcheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "healthcheck",
        abstract: "Ask a running Ekiden whether it is ready.",
        discussion: """
            Asks /ready of the admin server, prints one line, and exits 0 when it is ready, else 1.

            The admin server is the one of --admin, else of the file given by -c, else of EKIDEN_ADMIN, else of the file
            given by EKIDEN_CONFIG, else 127.0.0.1:9901.
            """)

    @Option(help: "Where the admin server listens: ADDRESS:PORT or unix:/PATH (EKIDEN_ADMIN).")
    var admin: String?

    @Option(name: [.short, .customLong("config")], help: "The configuration file that says so (EKIDEN_CONFIG).")
    var config: String?

    @Option(help: "How long to wait for the answer.", transform: Self.duration)
    var timeout: Duration = .seconds(2)

    private static let defaultAddress = ListenAddress.ip(host: "127.0.0.1", port: 9_901)

    func run() async throws {
        let verdict: ReadinessProbe.Verdict
        do throws(NoAddress) {
            verdict = await ask(try address(environment: ProcessEnvironment.variables))
        } catch {
            verdict = .failed(error.reason)
        }
        print(verdict)
        if !verdict.isReady { throw ExitCodes.failure }
    }

    private func ask(_ address: ListenAddress) async -> ReadinessProbe.Verdict {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let verdict = await ReadinessProbe(admin: address, timeout: timeout).ask(on: group.next())
        try? await group.shutdownGracefully()
        return verdict
    }

    /// Why nobody can be asked.
    private struct NoAddress: Error {
        let reason: String
    }

    private func address(environment: [String: String]) throws(NoAddress) -> ListenAddress {
        func variable(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        if let admin { return try Self.address(admin, from: "--admin") }
        if let config { return try Self.address(inFile: config, environment) }
        if let text = variable("EKIDEN_ADMIN") { return try Self.address(text, from: "EKIDEN_ADMIN") }
        if let file = variable("EKIDEN_CONFIG") { return try Self.address(inFile: file, environment) }
        return Self.defaultAddress
    }

    private static func address(_ text: String, from origin: String) throws(NoAddress) -> ListenAddress {
        do throws(ValueSyntaxError) {
            return try ListenAddress(parsing: text)
        } catch {
            throw NoAddress(reason: "\(origin): \(error)")
        }
    }

    private static func address(
        inFile path: String, _ environment: [String: String]
    ) throws(NoAddress) -> ListenAddress {
        switch ConfigurationLoader.load(path: path, environment: environment) {
        case .success(let loaded):
            guard let admin = loaded.configuration.admin else { throw NoAddress(reason: "\(path) has no admin server") }
            return admin.listen
        case .failure:
            throw NoAddress(reason: "\(path) is not a good configuration; see ekiden validate -c \(path)")
        }
    }

    @Sendable
    private static func duration(_ text: String) throws -> Duration {
        do throws(ValueSyntaxError) {
            let timeout = try Duration(parsing: text)
            guard timeout > .zero else { throw ValueSyntaxError("'\(text)' is no time at all") }
            return timeout
        } catch {
            throw ValidationError("\(error)")
        }
    }
}
