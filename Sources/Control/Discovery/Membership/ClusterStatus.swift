package import Policy

/// A cluster as the admin shows it.
package struct ClusterStatus: Sendable {
    package let name: String
    package let settings: ClusterSettings
    package let resolution: Cluster.Resolution
    /// The live objects: their counters may be read at any time.
    package let endpoints: [Endpoint]
    /// In the order of the configuration.
    package let sources: [SourceStatus]
}

/// One source of a cluster. A `static://` source has its addresses and nothing else.
package struct SourceStatus: Sendable {
    package let source: DiscoverySource
    /// Addresses that the source gives now.
    package let addressCount: Int
    /// The last good answer's TTL as the server gave it.
    package let ttl: Duration?
    /// Since the last good answer; nil when there was none.
    package let lastSuccessAge: Duration?
    /// Whether the last lookup failed.
    package let isFailing: Bool
    /// Text of the last failure, even if a good answer has come since; nil when there was none.
    package let lastFailure: String?
    /// Lookups that ended well and badly.
    package let answers: Int
    package let failures: Int
}
