/// Where a listener accepts connections.
package enum ListenAddress: Sendable, Hashable, CustomStringConvertible {
    /// An IP literal (v4 or v6, no brackets) and a port; port 0 takes a free one.
    case ip(host: String, port: Int)
    /// A Unix domain socket's path.
    case unix(path: String)

    package var description: String {
        switch self {
        case .ip(let host, let port): EndpointAddress(host: host, port: port).description
        case .unix(let path): "unix:\(path)"
        }
    }
}

/// One listener of the mesh.
package struct ListenerSettings: Sendable, Equatable {
    package var name: String
    package var address: ListenAddress
    package var limits: Limits
    /// What happens to `x-forwarded-for` on the way to the task.
    package var forwardedFor: ForwardedFor
    /// Whether `via: 2 ekiden` is added to requests and responses (RFC 9110, 7.6.3).
    package var via: Bool
    /// A connection is asked to go (GOAWAY) at this age, give or take ``connectionAgeJitter``, so that callers look for
    /// proxies that are new; nil lets it live.
    package var maxConnectionAge: Duration?
    /// Share of the age, 0...1.
    package var connectionAgeJitter = 0.1
    /// How long the streams of such a connection may still take; nil: as long as they like.
    package var maxConnectionAgeGrace: Duration?

    package init(
        name: String, address: ListenAddress, limits: Limits = Limits(), forwardedFor: ForwardedFor = .keep,
        via: Bool = false
    ) {
        self.name = name
        self.address = address
        self.limits = limits
        self.forwardedFor = forwardedFor
        self.via = via
    }

    package enum ForwardedFor: String, Sendable, CaseIterable {
        /// Pass on what the caller sent, add nothing.
        case keep
        /// Add the caller's address to what it sent.
        case append
        /// Drop what the caller sent, set its address: for a listener whose callers are not trusted.
        case replace
        /// Drop what the caller sent, add nothing.
        case remove
    }
}
