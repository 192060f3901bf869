package import Policy
import Synchronization

/// Turns the routes of a configuration into the table that workers match against.
package enum RouteCompiler {
    /// - Parameters:
    ///   - rules: in the order of the file, which stays the order of matching.
    ///   - clusters: the clusters' names in the order of ``Policy/Snapshot/clusters``.
    ///   - previous: the table of the configuration before. A route that is the same there keeps its plan, and so what
    ///     its limits have counted.
    /// - Returns: a route per rule. A rule whose cluster is not in `clusters` is left out; a loaded
    ///   configuration has none such.
    package static func compile(
        _ rules: [RouteRule], clusters: [String], previous: RouteTable = RouteTable([])
    ) -> RouteTable {
        var indices: [String: Int] = [:]
        for (index, name) in clusters.enumerated() { indices[name] = index }
        var routes: [Route] = []
        for (order, rule) in rules.enumerated() {
            guard let clusterIndex = indices[rule.cluster] else { continue }
            let name = rule.name ?? "routes[\(order)]"
            let authority = rule.authority.map(AuthorityMatch.init(pattern:)) ?? .any
            let path = path(of: rule)
            let known = previous.routes.first { route in
                // A route without a name is known by what it matches: its number changes with those before it.
                rule.name == nil ? route.authority == authority && route.path == path : route.name == name
            }
            routes.append(
                Route(
                    name: name, authority: authority, path: path, clusterIndex: clusterIndex,
                    plan: plan(rule.settings, known: known?.plan)))
        }
        return RouteTable(routes)
    }

    private static func plan(_ settings: RouteSettings, known: RoutePlan?) -> RoutePlan {
        if settings == RoutePlan.plain.settings { return .plain }
        if let known, known.settings == settings { return known }
        return RoutePlan(settings)
    }

    private static func path(of rule: RouteRule) -> PathMatch {
        if let service = rule.service { return PathMatch(service: service, method: rule.method) }
        if let prefix = rule.pathPrefix { return .prefix(Array(prefix.utf8)) }
        return .any
    }
}

/// Compiles one configuration after the other, so that routes that stay keep their plans.
package final class RouteCompilation: Sendable {
    private let latest = Mutex(RouteTable([]))

    package init() {}

    /// The table of `configuration`, ``Policy/Route/clusterIndex`` being the position in its clusters.
    package func compile(_ configuration: Configuration) -> RouteTable {
        latest.withLock { table in
            let clusters = configuration.clusters.map(\.name)
            table = RouteCompiler.compile(configuration.routes, clusters: clusters, previous: table)
            return table
        }
    }
}
