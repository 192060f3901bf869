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
        #expect(
            RouteCompiler.compile(rules, clusters: ["x", "y"]).routes == [
                Route(
                    name: "m", authority: .suffix(Array(".local".utf8)), path: .exact(Array("/a.B/C".utf8)),
                    clusterIndex: 1),
                Route(name: "routes[1]", path: .prefix(Array("/a.B/".utf8)), clusterIndex: 0),
                Route(name: "routes[2]", path: .prefix(Array("/p".utf8)), clusterIndex: 1),
                Route(name: "routes[3]", clusterIndex: 0),
            ])
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
