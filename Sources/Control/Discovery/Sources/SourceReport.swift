package import DNS
package import Policy

/// An endpoint as a source names it.
package struct DiscoveredEndpoint: Hashable, Sendable {
    /// An IPv4 or IPv6 literal.
    package var host: String
    /// Nil where the source knows none (A and AAAA records); then the cluster's port counts.
    package var port: Int?
    package var traits: EndpointTraits
    /// Whether the latest answer named it; false for one that is kept from earlier answers because the latest was cut.
    package var isConfirmed: Bool

    package init(host: String, port: Int? = nil, traits: EndpointTraits = EndpointTraits(), isConfirmed: Bool = true) {
        self.host = host
        self.port = port
        self.traits = traits
        self.isConfirmed = isConfirmed
    }
}

/// What a source knows after a look. Times are ``DiscoveryClock`` time.
package struct SourceReport: Sendable {
    /// Those of the last good answers; a failed look leaves them as they are.
    package var endpoints: [DiscoveredEndpoint] = []
    /// How much of the whole the endpoints are; nil for a source that always tells all.
    package var coverage: Coverage?
    /// The last good answer's TTL as the server gave it; nil for a source without one.
    package var ttl: Duration?
    /// When the last good answer came; nil while there was none.
    package var lastSuccess: Duration?
    /// Why the last look failed, or what of it did; nil when all is well.
    package var failure: String?
    /// The failure that was seen last, even if a good answer has come since.
    package var lastFailure: String?
    /// Looks that ended well and badly.
    package var answers = 0
    package var failures = 0
    /// What this look did, in order; for timelines.
    package var events: [DiscoveryEvent] = []
    /// The questions of this look and who answered them; empty for a source that asks nobody.
    package var attempts: [DNSAttempt] = []

    package init() {}

    /// Whether a look has ended, well or badly.
    package var hasOutcome: Bool { answers + failures > 0 }
}

/// How many endpoints there are behind answers that show only some of them.
package struct Coverage: Hashable, Sendable {
    /// Endpoints that are known now.
    package var known: Int
    /// Whether the latest answer was cut, so that there may be more.
    package var isTruncated: Bool
    /// How many there probably are; equal to ``known`` when no answer was cut, nil while answers do not overlap yet.
    package var estimated: Double?
    /// The standard error of ``estimated``.
    package var error: Double?
    /// Distinct answers behind the estimate.
    package var samples: Int

    package init(known: Int, isTruncated: Bool, estimated: Double?, error: Double?, samples: Int) {
        self.known = known
        self.isTruncated = isTruncated
        self.estimated = estimated
        self.error = error
        self.samples = samples
    }

    /// Which part of all endpoints is known, 0...1; nil while nobody can tell.
    package var share: Double? {
        guard let estimated else { return nil }
        return estimated > 0 ? min(Double(known) / estimated, 1) : 1
    }
}

/// One thing that discovery saw or did. The text is for people; the kind is for filters.
package struct DiscoveryEvent: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        /// A good answer, and what was in it.
        case answer
        /// Endpoints came.
        case added
        /// Endpoints were not in an answer, but are kept.
        case missed
        /// Endpoints left, and why.
        case expired
        /// A worker could not reach an endpoint.
        case unreachable
        /// A look failed, or a part of it.
        case failed
        /// A look went well after one that failed.
        case recovered
    }

    package var kind: Kind
    /// `10.0.0.4:50051 10.0.0.7:50051: missing from a complete answer`.
    package var text: String

    package init(_ kind: Kind, _ text: String) {
        self.kind = kind
        self.text = text
    }
}
