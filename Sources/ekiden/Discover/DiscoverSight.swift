import Control
import Policy

/// What `ekiden discover` has seen until now.
struct DiscoverSight {
    let source: DiscoverySource
    /// Looks taken in.
    private(set) var looks = 0
    private(set) var report = SourceReport()
    /// The endpoints that would be used, in the order of their addresses.
    private(set) var endpoints: [DiscoveredEndpoint] = []
    /// What the last look changed.
    private(set) var added: [String] = []
    private(set) var removed: [String] = []

    init(source: DiscoverySource) {
        self.source = source
    }

    mutating func take(_ report: SourceReport) {
        looks += 1
        self.report = report
        let before = Set(endpoints.map(address))
        endpoints = discovered(report)
        let after = Set(endpoints.map(address))
        added = endpoints.map(address).filter { !before.contains($0) }
        removed = before.subtracting(after).sorted()
    }

    /// How much of the whole is known; nil while nobody can tell. A list and a file always tell all.
    var coverage: Coverage? {
        if let coverage = report.coverage { return coverage }
        guard isFixed || report.lastSuccess != nil else { return nil }
        let count = endpoints.count
        return Coverage(known: count, isTruncated: false, estimated: Double(count), error: 0, samples: 1)
    }

    private var isFixed: Bool {
        if case .fixed = source { true } else { false }
    }

    /// `10.0.0.1:50051`; without the port where nobody knows one.
    func address(_ endpoint: DiscoveredEndpoint) -> String {
        guard let port = source.port(named: endpoint.port, clusterPort: nil) else { return endpoint.host }
        return EndpointAddress(host: endpoint.host, port: port).description
    }

    private func discovered(_ report: SourceReport) -> [DiscoveredEndpoint] {
        if case .fixed(let addresses) = source {
            return addresses.map { DiscoveredEndpoint(host: $0.host, port: $0.port) }
        }
        return report.endpoints
    }
}

/// A way to show what was seen.
protocol DiscoverView: Sendable {
    /// - Returns: what the last look adds to the output, line feeds included.
    func text(of sight: DiscoverSight) -> String
}
