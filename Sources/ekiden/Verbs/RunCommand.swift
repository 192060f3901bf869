import ArgumentParser
import Control

/// `ekiden run`: the proxy.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run the proxy, from a file or from flags alone.",
        discussion: """
            With a file:     ekiden run -c ekiden.yaml
            Without a file:  ekiden run --listen 127.0.0.1:15001 --upstream dns://game-server.local:50051

            Every flag has an environment variable: --dns-server is EKIDEN_DNS_SERVER.
            SIGTERM drains and exits 0, a second signal exits at once with 2, SIGHUP reloads the file.
            """)

    @OptionGroup var source: ConfigurationSource

    @Option(help: "Least severe lines to log: trace, debug, info, warning, error (EKIDEN_LOG_LEVEL).")
    var logLevel: String?

    func run() async throws {
        let environment = ProcessEnvironment.variables
        let logger = try ProcessLog.start(level: logLevel, environment: environment)
        let loaded = try source.load(environment: environment)
        let proxy = Proxy(configuration: loaded, source: source, environment: environment, logger: logger)
        try await proxy.run()
    }
}
