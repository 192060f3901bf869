import Policy
import Testing

@testable import Control

@Suite("Routes compiled from the configuration")
struct ConfigurationRouteTests {
    @Test("rules keep their order and become indices into the clusters")
    func compile() {
        let rules = [
            RouteRule(name: "m", authority: "*.local", service: "a.B", method: "C", cluster: "y"),
            RouteRule(service: "a.B", cluster: "x"), RouteRule(pathPrefix: "/p", cluster: "y"), RouteRule(cluster: "x"),
        ]
        let routes = RouteCompiler.compile(rules, clusters: ["x", "y"]).routes
        #expect(routes.map(\.name) == ["m", "routes[1]", "routes[2]", "routes[3]"])
        #expect(routes.map(\.authority) == [.suffix(Array(".local".utf8)), .any, .any, .any])
        #expect(
            routes.map(\.path) == [
                .exact(Array("/a.B/C".utf8)), .prefix(Array("/a.B/".utf8)), .prefix(Array("/p".utf8)), .any,
            ])
        #expect(routes.map(\.clusterIndex) == [1, 0, 1, 0])
        #expect(routes.allSatisfy { $0.plan === RoutePlan.plain })
    }

    @Test("a route's settings become its plan")
    func plans() {
        var limited = RouteRule(cluster: "x")
        limited.settings.rateLimit = RateLimitSettings()
        limited.settings.retry.grpcStatuses = [.unavailable]
        let routes = RouteCompiler.compile([limited, RouteRule(cluster: "x")], clusters: ["x"]).routes
        #expect(routes.first?.plan.settings == limited.settings)
        #expect(routes.first?.plan.limiter != nil)
        #expect(routes.last?.plan === RoutePlan.plain)
    }

    @Test("a reload keeps the plan of a route that stays, by its name or by what it matches, and no other")
    func plansStay() throws {
        func rule(_ name: String?, service: String?, burst: Int) -> RouteRule {
            var rule = RouteRule(name: name, service: service, cluster: "x")
            var limit = RateLimitSettings()
            limit.burst = burst
            rule.settings.rateLimit = limit
            return rule
        }
        var configuration = Configuration(
            routes: [rule("a", service: "a.A", burst: 1), rule(nil, service: "b.B", burst: 1)],
            clusters: [ClusterRule(name: "x", discover: [])])
        let compilation = RouteCompilation()
        let first = compilation.compile(configuration).routes.map(\.plan)
        try #require(first.count == 2)
        #expect(first[0] !== first[1])
        #expect(
            compilation.compile(configuration).routes.map { ObjectIdentifier($0.plan) }
                == first.map(ObjectIdentifier.init))

        configuration.routes = [
            rule(nil, service: "new.C", burst: 1), rule(nil, service: "b.B", burst: 1),
            rule("a", service: "other.A", burst: 1), rule("b", service: "b.B", burst: 1),
        ]
        let second = compilation.compile(configuration).routes.map(\.plan)
        try #require(second.count == 4)
        #expect(!first.contains { $0 === second[0] })
        #expect(second[1] === first[1])
        #expect(second[2] === first[0])
        #expect(!first.contains { $0 === second[3] })

        configuration.routes = [rule("a", service: "a.A", burst: 2)]
        let third = try #require(compilation.compile(configuration).routes.first).plan
        #expect(third.settings.rateLimit?.burst == 2)
    }

    @Test("a rule without its cluster is left out")
    func unknownCluster() {
        #expect(RouteCompiler.compile([RouteRule(cluster: "z")], clusters: ["x"]).routes.isEmpty)
    }

    @Test("requests go where the file says")
    func match() throws {
        let loaded = try configuration(
            """
            listeners: [{listen: 127.0.0.1:1}]
            routes:
              - {match: {service: demo.Orders}, cluster: orders}
              - {match: {authority: users.local}, cluster: users}
            clusters: {users: {discover: dns://u:1}, orders: {discover: dns://o:1}}
            """)
        let table = RouteCompiler.compile(loaded.routes, clusters: loaded.clusters.map(\.name))
        func cluster(_ authority: String, _ path: String) -> Int? {
            table.match(authority: Array(authority.utf8).span, path: Array(path.utf8).span)?.clusterIndex
        }
        #expect(cluster("x", "/demo.Orders/Get") == 1)
        #expect(cluster("Users.local:50051", "/demo.Users/Get") == 0)
        #expect(cluster("x", "/demo.Users/Get") == nil)
    }
}
