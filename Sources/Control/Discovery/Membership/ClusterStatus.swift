package import Policy

/// A cluster as the admin shows it.
package struct ClusterStatus: Sendable {
    package let name: String
    package let settings: ClusterSettings
    package let combine: SourceCombination
    package let resolution: Cluster.Resolution
    /// The live objects: their counters may be read at any time.
    package let endpoints: [Endpoint]
    /// Parallel to ``endpoints``.
    package let traits: [EndpointTraits]
    /// Endpoints that left because nobody could reach them, although discovery had not given them up; since the start.
    package let evictions: Int
    /// Those of them that would be endpoints if they could be reached.
    package let evicted: [EndpointAddress]
    /// Whether there ever was an endpoint.
    package let hasHadEndpoints: Bool
    /// In the order of the configuration.
    package let sources: [SourceStatus]

    package init(
        name: String, settings: ClusterSettings, combine: SourceCombination = .union, resolution: Cluster.Resolution,
        endpoints: [Endpoint], traits: [EndpointTraits]? = nil, evictions: Int = 0,
        evicted: [EndpointAddress] = [], hasHadEndpoints: Bool? = nil, sources: [SourceStatus]
    ) {
        self.name = name
        self.settings = settings
        self.combine = combine
        self.resolution = resolution
        self.endpoints = endpoints
        self.traits = traits ?? Array(repeating: EndpointTraits(), count: endpoints.count)
        self.evictions = evictions
        self.evicted = evicted
        self.hasHadEndpoints = hasHadEndpoints ?? !endpoints.isEmpty
        self.sources = sources
    }

    /// Whether there are endpoints and checks let streams go to none of them.
    package var isUnfit: Bool { !endpoints.isEmpty && endpoints.allSatisfy { !$0.health.isFit } }
}

/// One source of a cluster. A `static://` source has its addresses and nothing else.
package struct SourceStatus: Sendable {
    package let source: DiscoverySource
    /// Addresses that the source gives now.
    package let addressCount: Int
    /// How much of the whole they are; nil for a source that always tells all, and for one that has told nothing yet.
    package let coverage: Coverage?
    /// The last good answer's TTL as the server gave it.
    package let ttl: Duration?
    /// Since the last good answer; nil when there was none.
    package let lastSuccessAge: Duration?
    /// Whether the last look failed.
    package let isFailing: Bool
    /// Text of the last failure, even if a good answer has come since; nil when there was none.
    package let lastFailure: String?
    /// Looks that ended well and badly.
    package let answers: Int
    package let failures: Int

    package init(
        source: DiscoverySource, addressCount: Int, coverage: Coverage? = nil, ttl: Duration?,
        lastSuccessAge: Duration?, isFailing: Bool, lastFailure: String?, answers: Int, failures: Int
    ) {
        self.source = source
        self.addressCount = addressCount
        self.coverage = coverage
        self.ttl = ttl
        self.lastSuccessAge = lastSuccessAge
        self.isFailing = isFailing
        self.lastFailure = lastFailure
        self.answers = answers
        self.failures = failures
    }
}
