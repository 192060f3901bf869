package import Policy

/// Where a cluster's endpoints come from.
package enum DiscoverySource: Sendable, Hashable, CustomStringConvertible {
    /// `dns://name:port`: all A and AAAA records of the name. The name is kept as it was written: one that ends in a
    /// dot is complete and takes no search domain.
    case dns(name: String, port: Int)
    /// `srv://_grpc._tcp.name`: the SRV records of the name and the addresses of their targets (RFC 2782).
    case srv(name: String)
    /// `file:///etc/ekiden/tasks.yaml`: the endpoints that a file lists, by its absolute path.
    case file(path: String)
    /// `static://10.0.0.1:9001,10.0.0.2:9001`.
    case fixed([EndpointAddress])

    /// The URL, as the configuration has it.
    package var description: String {
        switch self {
        case .dns(let name, let port): "dns://\(name):\(port)"
        case .srv(let name): "srv://\(name)"
        case .file(let path): "file://\(path)"
        case .fixed(let addresses): "static://" + addresses.map(\.description).joined(separator: ",")
        }
    }
}

extension DiscoverySource {
    /// The port of an endpoint of this source.
    ///
    /// Address records know no port: the URL has it. SRV records and static addresses always have one. In a file a line
    /// may leave it out, and then the cluster's `port` stands in for it.
    /// - Parameters:
    ///   - named: the port that came with the endpoint.
    ///   - clusterPort: ``ClusterRule/port``.
    /// - Returns: nil when nobody says.
    package func port(named: Int?, clusterPort: Int?) -> Int? {
        switch self {
        case .dns(_, let port): port
        case .srv, .fixed: named
        case .file: named ?? clusterPort
        }
    }

    /// The addresses of this source's endpoints as one cluster sees them.
    /// - Parameters:
    ///   - endpoints: what the source reported.
    ///   - clusterPort: ``ClusterRule/port``.
    /// - Returns: the endpoints that have a port, with their addresses, each address once and its first mention counts;
    ///   and what is wrong with the others, for people.
    package func located(
        _ endpoints: [DiscoveredEndpoint], clusterPort: Int?
    ) -> (endpoints: [(address: EndpointAddress, endpoint: DiscoveredEndpoint)], problem: String?) {
        var located: [(address: EndpointAddress, endpoint: DiscoveredEndpoint)] = []
        var seen: Set<EndpointAddress> = []
        var withoutPort: [String] = []
        for endpoint in endpoints {
            guard let port = port(named: endpoint.port, clusterPort: clusterPort) else {
                withoutPort.append(endpoint.host)
                continue
            }
            let address = EndpointAddress(host: endpoint.host, port: port)
            if seen.insert(address).inserted { located.append((address, endpoint)) }
        }
        guard let first = withoutPort.first else { return (located, nil) }
        let others = withoutPort.count > 1 ? " (and \(withoutPort.count - 1) more)" : ""
        return (located, "\(self): \(first)\(others) has no port, and the cluster has no 'port'")
    }
}
