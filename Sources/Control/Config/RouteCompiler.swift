package import Policy

/// Turns the routes of a configuration into the table that workers match against.
package enum RouteCompiler {
    /// - Parameters:
    ///   - rules: in the order of the file, which stays the order of matching.
    ///   - clusters: the clusters' names in the order of ``Policy/Snapshot/clusters``.
    /// - Returns: a route per rule. A rule whose cluster is not in `clusters` is left out; a loaded
    ///   configuration has none such.
    package static func compile(_ rules: [RouteRule], clusters: [String]) -> RouteTable {
        var indices: [String: Int] = [:]
        for (index, name) in clusters.enumerated() { indices[name] = index }
        var routes: [Route] = []
        for (order, rule) in rules.enumerated() {
            guard let clusterIndex = indices[rule.cluster] else { continue }
            routes.append(
                Route(
                    name: rule.name ?? "routes[\(order)]",
                    authority: rule.authority.map(AuthorityMatch.init(pattern:)) ?? .any,
                    path: path(of: rule),
                    clusterIndex: clusterIndex))
        }
        return RouteTable(routes)
    }

    private static func path(of rule: RouteRule) -> PathMatch {
        if let service = rule.service { return PathMatch(service: service, method: rule.method) }
        if let prefix = rule.pathPrefix { return .prefix(Array(prefix.utf8)) }
        return .any
    }
}
