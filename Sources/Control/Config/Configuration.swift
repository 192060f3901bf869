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
    /// All sources; their answers are united.
    package var discover: [DiscoverySource]
    package var settings: ClusterSettings

    package init(name: String, discover: [DiscoverySource], settings: ClusterSettings = ClusterSettings()) {
        self.name = name
        self.discover = discover
        self.settings = settings
    }
}

/// Where a cluster's endpoints come from.
package enum DiscoverySource: Sendable, Hashable, CustomStringConvertible {
    /// `dns://name:port`: all A and AAAA records of the name.
    case dns(name: String, port: Int)
    /// `static://10.0.0.1:9001,10.0.0.2:9001`.
    case fixed([EndpointAddress])

    package var description: String {
        switch self {
        case .dns(let name, let port): "dns://\(name):\(port)"
        case .fixed(let addresses): "static://" + addresses.map(\.description).joined(separator: ",")
        }
    }
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

    package init() {}
}
