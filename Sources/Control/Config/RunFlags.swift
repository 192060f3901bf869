import Policy

/// The flags of `ekiden run` that take the place of a file, as typed. Each has an environment variable (`--dns-server`:
/// `EKIDEN_DNS_SERVER`), which counts when the flag is absent.
package struct RunFlags: Sendable {
    package var listen: String?
    package var upstream: String?
    package var admin: String?
    package var workers: String?
    package var balance: String?
    /// Name servers, parted by commas.
    package var dnsServer: String?

    package init(
        listen: String? = nil, upstream: String? = nil, admin: String? = nil, workers: String? = nil,
        balance: String? = nil, dnsServer: String? = nil
    ) {
        self.listen = listen
        self.upstream = upstream
        self.admin = admin
        self.workers = workers
        self.balance = balance
        self.dnsServer = dnsServer
    }

    /// The same flags, absent ones filled from `EKIDEN_*`. An empty variable counts as absent.
    package func filled(from environment: [String: String]) -> RunFlags {
        var flags = self
        for flag in Flag.allCases where flags[keyPath: flag.path] == nil {
            if let value = environment[flag.variable], !value.isEmpty { flags[keyPath: flag.path] = value }
        }
        return flags
    }

    /// Whether no flag was given.
    package var isEmpty: Bool {
        Flag.allCases.allSatisfy { self[keyPath: $0.path] == nil }
    }

    /// The configuration that the flags stand for: one listener `mesh`, one route for everything, one cluster called
    /// after the upstream's name (`static` for addresses, `file` for a file).
    /// - Parameter environment: where the `EKIDEN_*` variables are looked up.
    /// - Returns: the configuration and its warnings, or every error, the origin being the flag or the variable.
    package func configuration(
        environment: [String: String]
    ) -> Result<LoadedConfiguration, InvalidConfiguration> {
        var building = FlagReading(flags: filled(from: environment), given: self)
        let configuration = building.configuration()
        guard building.diagnostics.allSatisfy({ $0.severity == .warning }) else {
            return .failure(InvalidConfiguration(building.diagnostics))
        }
        return .success(LoadedConfiguration(configuration: configuration, warnings: building.diagnostics))
    }
}

/// A flag, its environment variable, and its key in a file.
private enum Flag: String, CaseIterable {
    case listen
    case upstream
    case admin
    case workers
    case balance
    case dnsServer = "dns-server"

    var option: String { "--\(rawValue)" }

    var variable: String {
        "EKIDEN_" + rawValue.uppercased().split(separator: "-").joined(separator: "_")
    }

    var path: WritableKeyPath<RunFlags, String?> {
        switch self {
        case .listen: \.listen
        case .upstream: \.upstream
        case .admin: \.admin
        case .workers: \.workers
        case .balance: \.balance
        case .dnsServer: \.dnsServer
        }
    }

    /// The flag that sets what a check found at `configurationPath`.
    init?(settingPathOf configurationPath: String) {
        let top = configurationPath.prefix { $0 != "." && $0 != "[" }
        switch top {
        case "listeners": self = .listen
        case "clusters", "routes": self = .upstream
        case "admin": self = .admin
        case "workers": self = .workers
        case "dns": self = .dnsServer
        default: return nil
        }
    }
}

/// Reads flags into a configuration and collects what is wrong.
private struct FlagReading {
    let flags: RunFlags
    /// Without the variables, to say where a value came from.
    let given: RunFlags
    private(set) var diagnostics: [Diagnostic] = []
    private var refused: Set<String> = []

    init(flags: RunFlags, given: RunFlags) {
        self.flags = flags
        self.given = given
    }

    mutating func configuration() -> Configuration {
        var configuration = Configuration()
        if let address = required(.listen, .listenAddress, path: "listeners", example: "127.0.0.1:15001") {
            configuration.listeners = [ListenerSettings(name: "mesh", address: address)]
        }
        let example = "dns://game-server.local:50051"
        if let source = required(.upstream, .discovery(port: nil), path: "clusters", example: example) {
            var cluster = ClusterRule(name: source.clusterName, discover: [source])
            if let balance = value(.balance, .balance) {
                cluster.settings.balance = balance
            }
            configuration.clusters = [cluster]
            configuration.routes = [RouteRule(cluster: cluster.name)]
        } else {
            refused.insert("routes")
            _ = value(.balance, .balance)
        }
        if let admin = value(.admin, .listenAddress) { configuration.admin = AdminSettings(listen: admin) }
        configuration.workers = value(.workers, .integer(1...1_024))
        configuration.dns.servers = nameServers()
        for finding in ConfigurationChecks.findings(in: configuration, except: refused) {
            guard let flag = Flag(settingPathOf: finding.path) else { continue }
            // The way out in a file is not one on the command line.
            let isFileOnly = flag == .admin && finding.hint != nil
            let hint = isFileOnly ? "use a loopback address, or a file with admin.allow_remote" : finding.hint
            report(flag, finding.message, hint: hint, severity: finding.severity)
        }
        return configuration
    }

    private mutating func nameServers() -> [EndpointAddress] {
        guard let text = flags.dnsServer else { return [] }
        var servers: [EndpointAddress] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            if let server = parsed(String(part), .dnsServer, .nameServer) { servers.append(server) }
        }
        return servers
    }

    private mutating func required<Value>(
        _ flag: Flag, _ syntax: ValueSyntax<Value>, path: String, example: String
    ) -> Value? {
        if flags[keyPath: flag.path] == nil {
            let hint = "for example \(flag.option) \(example), or \(flag.variable)"
            report(flag, "missing; without a configuration file it is needed", hint: hint)
        } else if let value = value(flag, syntax) {
            return value
        }
        refused.insert(path)
        return nil
    }

    private mutating func value<Value>(_ flag: Flag, _ syntax: ValueSyntax<Value>) -> Value? {
        flags[keyPath: flag.path].flatMap { parsed($0, flag, syntax) }
    }

    private mutating func parsed<Value>(_ text: String, _ flag: Flag, _ syntax: ValueSyntax<Value>) -> Value? {
        do throws(ValueSyntaxError) {
            return try syntax.parse(text)
        } catch {
            report(flag, error.message, hint: error.hint)
            return nil
        }
    }

    private mutating func report(
        _ flag: Flag, _ message: String, hint: String?, severity: Diagnostic.Severity = .error
    ) {
        let cameFromVariable = given[keyPath: flag.path] == nil && flags[keyPath: flag.path] != nil
        let origin = cameFromVariable ? flag.variable : flag.option
        diagnostics.append(Diagnostic(severity, origin: origin, message: message, hint: hint))
    }
}

extension DiscoverySource {
    fileprivate var clusterName: String {
        switch self {
        case .dns(let name, _), .srv(let name): name
        case .file: "file"
        case .fixed: "static"
        }
    }
}
