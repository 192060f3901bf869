import Policy

/// What must hold between the values of a configuration, beyond each value being right by itself.
///
/// Values that were refused when they were read are left out: they still have their defaults, and a complaint about
/// those would only confuse.
struct ConfigurationChecks {
    /// Something found, at a path like `clusters.users.discover`.
    struct Finding {
        var severity: Diagnostic.Severity = .error
        let path: String
        let message: String
        var hint: String?
    }

    let configuration: Configuration
    private let refused: Set<String>
    private let obstacle: (String) -> String?
    private var findings: [Finding] = []

    /// - Parameters:
    ///   - refused: paths of values that could not be read.
    ///   - obstacle: why a file cannot be read now; nil when it can.
    static func findings(
        in configuration: Configuration, except refused: Set<String> = [],
        obstacle: @escaping (String) -> String? = obstacleToReading
    ) -> [Finding] {
        var checks = ConfigurationChecks(configuration: configuration, refused: refused, obstacle: obstacle)
        checks.checkPresence()
        checks.checkListeners()
        checks.checkAdmin()
        checks.checkRoutes()
        checks.checkClusters()
        checks.checkTimes()
        return checks.findings
    }

    private init(configuration: Configuration, refused: Set<String>, obstacle: @escaping (String) -> String?) {
        self.configuration = configuration
        self.refused = refused
        self.obstacle = obstacle
    }

    mutating func report(_ path: String, _ message: String, hint: String? = nil) {
        findings.append(Finding(path: path, message: message, hint: hint))
    }

    mutating func warn(_ path: String, _ message: String, hint: String? = nil) {
        findings.append(Finding(severity: .warning, path: path, message: message, hint: hint))
    }

    func isRead(_ paths: String...) -> Bool {
        refused.isDisjoint(with: paths)
    }
}

// MARK: - What has to be there, and once

extension ConfigurationChecks {
    private mutating func checkPresence() {
        if configuration.listeners.isEmpty, isRead("listeners") {
            report("listeners", "there is no listener", hint: "add 'listeners: [{listen: 127.0.0.1:15001}]'")
        }
        if configuration.clusters.isEmpty, isRead("clusters") {
            let hint = "add 'clusters: {users: {discover: dns://users.local:50051}}'"
            report("clusters", "there is no cluster", hint: hint)
        }
        if configuration.routes.isEmpty, isRead("routes") {
            let hint = configuration.clusters.first.map { "add 'routes: [{cluster: \($0.name)}]'" }
            report("routes", "there is no route, so no request would reach a cluster", hint: hint)
        }
    }

    private mutating func checkListeners() {
        var names: [String: Int] = [:]
        var addresses: [ListenAddress: Int] = [:]
        for (index, listener) in configuration.listeners.enumerated() {
            let place = "listeners[\(index)]"
            checkLimits(listener.limits, at: "\(place).limits")
            checkAge(of: listener, at: place)
            guard isRead("\(place).listen") else { continue }
            if !listener.address.takesFreePort, let first = addresses.updateValue(index, forKey: listener.address) {
                report("\(place).listen", "\(place) listens on \(listener.address) like listeners[\(first)]")
            } else if isRead("\(place).name"), let first = names.updateValue(index, forKey: listener.name) {
                report("\(place).name", "\(place) has the name \(quoted(listener.name)) of listeners[\(first)]")
            }
        }
    }

    private mutating func checkAdmin() {
        guard let admin = configuration.admin, isRead("admin", "admin.listen", "admin.allow_remote") else { return }
        if !admin.listen.isLoopback, !admin.allowRemote {
            let hint = "listen on 127.0.0.1, or set admin.allow_remote: true"
            report("admin.listen", "the admin server would be reachable from outside on \(admin.listen)", hint: hint)
        }
        for (index, listener) in configuration.listeners.enumerated()
        where isRead("listeners[\(index)].listen") && listener.address.overlaps(admin.listen) {
            let name = quoted(listener.name)
            report("admin.listen", "the admin server listens on \(admin.listen) like the listener \(name)")
        }
    }
}

// MARK: - Routes

extension ConfigurationChecks {
    private mutating func checkRoutes() {
        let clusters = configuration.clusters.map(\.name)
        let known = Set(clusters)
        var names: [String: Int] = [:]
        var used: Set<String> = []
        var catchAll: Int?
        for (index, route) in configuration.routes.enumerated() {
            let place = "routes[\(index)]"
            used.insert(route.cluster)
            if isRead("\(place).cluster"), !known.contains(route.cluster) {
                let hint = Suggestion.hint(for: route.cluster, among: clusters)
                report("\(place).cluster", "\(place) names the unknown cluster \(quoted(route.cluster))", hint: hint)
            }
            if let name = route.name, let first = names.updateValue(index, forKey: name) {
                report("\(place).name", "\(place) has the name \(quoted(name)) of routes[\(first)]")
            }
            checkMatch(of: route, at: place)
            checkSettings(of: route, at: place)
            if let catchAll {
                warn(place, "\(place) is never reached: routes[\(catchAll)] matches every request")
            } else if route.matchesEverything, isMatchRead(place) {
                catchAll = index
            }
        }
        // A route whose cluster is mistaken may have meant any of them.
        guard isRead("routes"), used.isSubset(of: known) else { return }
        for cluster in configuration.clusters where !used.contains(cluster.name) {
            warn("clusters.\(cluster.name)", "no route leads to the cluster \(quoted(cluster.name))")
        }
    }

    private mutating func checkMatch(of route: RouteRule, at place: String) {
        if route.method != nil, route.service == nil, isRead("\(place).match.service") {
            report("\(place).match.method", "\(place).match has a 'method' but no 'service'")
        }
        if route.pathPrefix != nil, route.service != nil {
            report("\(place).match.path", "\(place).match has both 'path' and 'service'", hint: "keep one of them")
        }
    }

    private func isMatchRead(_ place: String) -> Bool {
        isRead(
            "\(place).match", "\(place).match.authority", "\(place).match.service", "\(place).match.method",
            "\(place).match.path")
    }
}

// MARK: - Clusters and times

extension ConfigurationChecks {
    private mutating func checkClusters() {
        for cluster in configuration.clusters {
            let place = "clusters.\(cluster.name)"
            let settings = cluster.settings
            checkSources(of: cluster, at: place)
            checkOrder(
                settings.connectBackoff, "\(place).connect_backoff",
                settings.connectBackoffMax, "\(place).connect_backoff_max")
            checkOrder(
                settings.keepaliveTimeout, "\(place).keepalive.timeout",
                settings.idleTimeout, "\(place).idle_timeout")
            if settings.darkAfter >= settings.darkTimeout, isRead("\(place).dark_after", "\(place).dark_timeout") {
                let (after, timeout) = (settings.darkAfter.configurationText, settings.darkTimeout.configurationText)
                let message = "\(place).dark_after (\(after)) is not less than \(place).dark_timeout (\(timeout))"
                report("\(place).dark_after", message)
            }
            checkLimits(settings.limits, at: "\(place).limits")
            checkResilience(of: cluster, at: place)
        }
    }

    private mutating func checkSources(of cluster: ClusterRule, at place: String) {
        guard isRead(place, "\(place).discover") else { return }
        if cluster.discover.isEmpty {
            report("\(place).discover", "\(place).discover is empty", hint: "write dns://name:port")
        }
        var sources: Set<DiscoverySource> = []
        for (index, source) in cluster.discover.enumerated() {
            if !sources.insert(source).inserted {
                warn("\(place).discover", "\(place).discover has \(source) twice")
            } else if case .file(let path) = source, let obstacle = obstacle(path) {
                let hint = "the cluster has none of its endpoints until the file is there"
                warn("\(place).discover[\(index)]", "\(path) cannot be read now: \(obstacle)", hint: hint)
            }
        }
        if cluster.combine == .first, sources.count == 1, isRead("\(place).combine") {
            let hint = "name the next best source after it, or leave it out"
            warn("\(place).combine", "\(place).combine: 'first' says nothing where there is one source", hint: hint)
        }
    }

    private mutating func checkLimits(_ limits: Limits, at place: String) {
        checkOrder(
            limits.maxHeaderBytes, "\(place).max_header_bytes", limits.hardHeaderBytes, "\(place).hard_header_bytes")
        checkOrder(
            limits.maxHeaderFields, "\(place).max_header_fields",
            limits.hardHeaderFields, "\(place).hard_header_fields")
        checkOrder(
            limits.maxBufferedBytesPerConnection, "\(place).max_buffered_bytes_per_connection",
            limits.maxBufferedBytesPerProcess, "\(place).max_buffered_bytes_per_process")
        checkOrder(
            limits.streamWindowBytes, "\(place).stream_window_bytes",
            limits.maxBufferedBytesPerConnection, "\(place).max_buffered_bytes_per_connection")
    }

    private mutating func checkTimes() {
        checkOrder(configuration.dns.minTTL, "dns.min_ttl", configuration.dns.maxTTL, "dns.max_ttl")
        checkOrder(configuration.drain.delay, "drain.delay", configuration.drain.timeout, "drain.timeout")
        let maximum = SearchList.maximumDomains
        if let search = configuration.dns.search, search.count > maximum, isRead("dns.search") {
            let hint = "each one costs a failing name another question"
            warn("dns.search[\(maximum)]", "dns.search: only the first \(maximum) domains are tried", hint: hint)
        }
    }

    mutating func checkOrder(_ low: Duration, _ lowPath: String, _ high: Duration, _ highPath: String) {
        guard low > high, isRead(lowPath, highPath) else { return }
        let values = "(\(low.configurationText)) is more than \(highPath) (\(high.configurationText))"
        report(lowPath, "\(lowPath) \(values)")
    }

    mutating func checkOrder(_ low: Int, _ lowPath: String, _ high: Int, _ highPath: String) {
        guard low > high, isRead(lowPath, highPath) else { return }
        report(lowPath, "\(lowPath) (\(low)) is more than \(highPath) (\(high))")
    }
}

extension RouteRule {
    fileprivate var matchesEverything: Bool {
        (authority == nil || authority == "*") && service == nil && method == nil
            && (pathPrefix == nil || pathPrefix == "/")
    }
}

extension ListenAddress {
    fileprivate var takesFreePort: Bool {
        if case .ip(_, port: 0) = self { return true }
        return false
    }

    /// Whether the kernel would refuse one of two sockets: the same address, or the same port with a wildcard.
    fileprivate func overlaps(_ other: ListenAddress) -> Bool {
        guard case .ip(let host, let port) = self, case .ip(let otherHost, let otherPort) = other else {
            return self == other
        }
        let wildcards = ["0.0.0.0", "::"]
        let isSameHost = host == otherHost || wildcards.contains(host) || wildcards.contains(otherHost)
        return port == otherPort && port != 0 && isSameHost
    }
}
