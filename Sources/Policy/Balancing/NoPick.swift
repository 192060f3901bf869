extension Balancer {
    /// Why there was no pick, for the caller's answer: where all that could be had are at their limit of streams the
    /// circuit is open, otherwise there is no endpoint.
    package static func whyNone(in cluster: Cluster, tried: TriedEndpoints, subset: [String: String] = [:]) -> Failure {
        let members = cluster.endpoints.indices.filter { cluster.traits[$0].matches(subset) }
        if cluster.endpoints.isEmpty { return Failure(.noEndpoint, "cluster \(cluster.name) has no endpoints") }
        if members.isEmpty { return Failure(.noEndpoint, cluster.noMatch(for: subset)) }
        let triedCount = members.count { tried.contains(cluster.endpoints[$0]) }
        let fullCount = members.count {
            let endpoint = cluster.endpoints[$0]
            return !tried.contains(endpoint) && cluster.rules.isFull(endpoint)
        }
        let whose = "of cluster \(cluster.name)" + (subset.isEmpty ? "" : " with \(subset.listed)")
        let all = members.count == 1 ? "the only endpoint \(whose)" : "all \(members.count) endpoints \(whose)"
        let (are, have, their) = members.count == 1 ? ("is", "has", "its") : ("are", "have", "their")
        let limit = "\(their) limit of \(cluster.rules.endpointLimit) streams"
        if triedCount == members.count { return Failure(.noEndpoint, "\(all) \(have) been tried") }
        if fullCount == members.count { return .circuitOpen(.requestsPerEndpoint, "\(all) \(are) at \(limit)") }
        if triedCount + fullCount == members.count {
            let full = "tried (\(triedCount)) or at \(limit) (\(fullCount))"
            return .circuitOpen(.requestsPerEndpoint, "\(all) \(are) \(full)")
        }
        // One that had no place when the pick looked has one now.
        return Failure(.noEndpoint, "no endpoint \(whose) was left to try")
    }
}

extension Cluster {
    /// Which filter no endpoint passes, and how many pass each part of it:
    /// `no endpoint of cluster users has leader=true, version=2 (6 endpoints; leader=true: 0, version=2: 3)`.
    package func noMatch(for subset: [String: String]) -> String {
        let parts = subset.sorted { $0.key < $1.key }.map { key, value in
            "\(key)=\(value): \(traits.count { $0.attributes[key] == value })"
        }
        let count = endpoints.count == 1 ? "1 endpoint" : "\(endpoints.count) endpoints"
        return "no endpoint of cluster \(name) has \(subset.listed) (\(count); \(parts.joined(separator: ", ")))"
    }
}

extension [String: String] {
    /// `leader=true, version=2`.
    fileprivate var listed: String {
        sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ", ")
    }
}
