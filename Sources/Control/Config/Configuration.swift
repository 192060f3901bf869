package import DNS
package import Policy

/// A whole configuration, parsed and checked: what is in here can be run. Every default is filled in.
package struct Configuration: Sendable, Equatable {
    package var admin: AdminSettings?
    package var listeners: [ListenerSettings]
    /// In the order of the file; the first that matches wins.
    package var routes: [RouteRule]
    /// In the order of the file.
    package var clusters: [ClusterRule]
    package var dns: DNSSettings
    /// Event loops; nil takes the cgroup's CPU limit.
    package var workers: Int?
    package var drain: DrainSettings
    package var overload = OverloadSettings()

    package init(
        admin: AdminSettings? = nil, listeners: [ListenerSettings] = [], routes: [RouteRule] = [],
        clusters: [ClusterRule] = [], dns: DNSSettings = DNSSettings(), workers: Int? = nil,
        drain: DrainSettings = DrainSettings()
    ) {
        self.admin = admin
        self.listeners = listeners
        self.routes = routes
        self.clusters = clusters
        self.dns = dns
        self.workers = workers
        self.drain = drain
    }
}

extension Configuration {
    /// Bytes of bodies that the process holds at most: it has one budget; where listeners name several, the tightest
    /// counts.
    package var bufferLimit: Int {
        listeners.map(\.limits.maxBufferedBytesPerProcess).min() ?? Limits().maxBufferedBytesPerProcess
    }

    /// The keys whose values differ and are read at the start only.
    /// - Parameter start: the configuration that the process was started with.
    package func keysForRestart(since start: Configuration) -> [String] {
        let changes = [
            ("admin", admin != start.admin), ("overload", overload != start.overload),
            ("workers", workers != start.workers),
            ("max_buffered_bytes_per_process", bufferLimit != start.bufferLimit),
        ]
        return changes.filter(\.1).map(\.0)
    }
}

/// Where the admin server listens.
package struct AdminSettings: Sendable, Equatable {
    package var listen: ListenAddress
    /// Without it an address that is not loopback is refused: the admin port shows names and numbers of the mesh.
    package var allowRemote: Bool

    package init(listen: ListenAddress, allowRemote: Bool = false) {
        self.listen = listen
        self.allowRemote = allowRemote
    }
}

/// One entry of `routes`, by cluster name; ``Policy/Route`` is the compiled form.
package struct RouteRule: Sendable, Equatable {
    package var name: String?
    package var authority: String?
    /// A gRPC service (`package.Service`), with `method` one method of it.
    package var service: String?
    package var method: String?
    /// A path prefix; excludes `service`.
    package var pathPrefix: String?
    package var cluster: String
    package var settings = RouteSettings()

    package init(
        name: String? = nil, authority: String? = nil, service: String? = nil, method: String? = nil,
        pathPrefix: String? = nil, cluster: String
    ) {
        self.name = name
        self.authority = authority
        self.service = service
        self.method = method
        self.pathPrefix = pathPrefix
        self.cluster = cluster
    }
}

/// One entry of `clusters`.
package struct ClusterRule: Sendable, Equatable {
    package var name: String
    /// What stands in for the port where a source leaves it out; `dns://` and `static://` URLs have it already.
    package var port: Int?
    /// All sources, in the order of the file.
    package var discover: [DiscoverySource]
    package var combine: SourceCombination
    /// Where the cluster reads answers otherwise than ``DNSSettings/answers`` says.
    package var answers: AnswerRuleOverrides
    package var settings: ClusterSettings

    package init(
        name: String, port: Int? = nil, discover: [DiscoverySource], combine: SourceCombination = .union,
        answers: AnswerRuleOverrides = AnswerRuleOverrides(), settings: ClusterSettings = ClusterSettings()
    ) {
        self.name = name
        self.port = port
        self.discover = discover
        self.combine = combine
        self.answers = answers
        self.settings = settings
    }
}

/// What several sources of a cluster are together.
package enum SourceCombination: String, Sendable, CaseIterable {
    /// The endpoints of all of them.
    case union
    /// Those of the first, in the order of the configuration, that has answered.
    case first
}

/// How names are resolved.
package struct DNSSettings: Sendable, Equatable {
    /// Name servers as `host:port`; empty takes those of `/etc/resolv.conf`.
    package var servers: [EndpointAddress] = []
    /// A TTL below is raised to this, one above lowered to ``maxTTL``.
    package var minTTL: Duration = .seconds(1)
    package var maxTTL: Duration = .seconds(10)
    /// Per query and server.
    package var timeout: Duration = .seconds(1)
    package var tries = 3
    /// How answers are read, where a cluster does not say otherwise.
    package var answers = AnswerRules()
    /// Domains that a name with fewer than ``ndots`` dots is looked for in, after the name as it stands; the first
    /// ``SearchList/maximumDomains`` count. Nil takes those of `/etc/resolv.conf`.
    package var search: [DNSName]?
    /// A name with this many dots or more is never looked for in ``search``, only as it stands; nil takes the number of
    /// `/etc/resolv.conf`.
    package var ndots: Int?

    package init() {}
}
