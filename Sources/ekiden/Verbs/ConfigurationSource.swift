import ArgumentParser
import Control
import Policy

/// Where a configuration comes from: a file, or the flags that take its place.
struct ConfigurationSource: ParsableArguments {
    @Option(name: [.short, .customLong("config")], help: "The configuration file (EKIDEN_CONFIG).")
    var config: String?

    @Option(help: "Where callers connect: ADDRESS:PORT or unix:/PATH (EKIDEN_LISTEN).")
    var listen: String?

    @Option(help: "The tasks: dns://NAME:PORT or static://IP:PORT,IP:PORT (EKIDEN_UPSTREAM).")
    var upstream: String?

    @Option(help: "Where the admin server listens, loopback only (EKIDEN_ADMIN).")
    var admin: String?

    @Option(help: "Event loops; the cgroup's CPU limit unless given (EKIDEN_WORKERS).")
    var workers: String?

    @Option(help: "One of \(BalancePolicy.allCases.map(\.rawValue).joined(separator: ", ")) (EKIDEN_BALANCE).")
    var balance: String?

    @Option(help: "Name servers as ADDRESS:PORT, parted by commas (EKIDEN_DNS_SERVER).")
    var dnsServer: String?

    /// The file, from the flag or the environment; nil when flags take its place.
    func path(environment: [String: String]) -> String? {
        config ?? environment["EKIDEN_CONFIG"].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Reads and checks the configuration; prints every error and ends the process where there is one.
    func load(environment: [String: String]) throws -> Configuration {
        switch read(environment: environment) {
        case .success(let loaded):
            for warning in loaded.warnings { ProcessLog.printError(warning.rendered(color: ProcessLog.hasColor)) }
            return loaded.configuration
        case .failure(let invalid):
            ProcessLog.printError(invalid.rendered(color: ProcessLog.hasColor))
            throw path(environment: environment) == nil ? ExitCodes.usage : ExitCodes.badConfiguration
        }
    }

    /// Reads and checks the configuration, without a word.
    func read(environment: [String: String]) -> Result<LoadedConfiguration, InvalidConfiguration> {
        let flags = RunFlags(
            listen: listen, upstream: upstream, admin: admin, workers: workers, balance: balance, dnsServer: dnsServer)
        if let path = path(environment: environment) {
            guard flags.isEmpty else {
                return .failure(
                    InvalidConfiguration([
                        Diagnostic(
                            origin: "command line",
                            message: "--config and the flags that take its place (--listen, --upstream, …) "
                                + "exclude each other", hint: "put it into \(path)")
                    ]))
            }
            return ConfigurationLoader.load(path: path, environment: environment)
        }
        return flags.configuration(environment: environment)
    }
}
