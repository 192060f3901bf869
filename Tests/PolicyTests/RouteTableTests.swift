import Testing

@testable import Policy

@Suite("Routes")
struct RouteTableTests {
    private static let authorities: [(pattern: String, authority: String, matches: Bool)] = [
        ("*", "users.local", true),
        ("*", "", true),
        ("", "users.local:50051", true),
        ("users", "users", true),
        ("users", "USERS", true),
        ("Users.Local", "users.lOCAL", true),
        ("users", "users:50051", true),
        ("users", "users:", true),
        ("users", "users2", false),
        ("users", "user", false),
        ("users", "", false),
        ("users", "a.users", false),
        ("users", "users.local", false),
        ("users:50051", "users:50051", true),
        ("users:50051", "users:50052", false),
        ("users:50051", "users", false),
        ("10.0.0.1", "10.0.0.1:80", true),
        ("[::1]", "[::1]", true),
        ("[::1]", "[::1]:50051", true),
        ("[::1]:50051", "[::1]:50051", true),
        ("[::1]:50051", "[::1]", false),
        ("[FD00::A]", "[fd00::a]:1", true),
        ("*.demo.local", "a.demo.local", true),
        ("*.demo.local", "a.b.demo.local", true),
        ("*.demo.local", "A.DEMO.local:50051", true),
        ("*.demo.local", "demo.local", false),
        ("*.demo.local", ".demo.local", false),
        ("*.demo.local", "ademo.local", false),
        ("*.demo.local", "a.demo.local.evil", false),
        ("*.demo.local:50051", "a.demo.local:50051", true),
        ("*.demo.local:50051", "a.demo.local", false),
        ("*.demo.local:50051", "a.demo.local:50052", false),
    ]

    @Test(
        "an authority is compared without regard to case, and to the port where the pattern has none",
        arguments: authorities)
    func authority(pattern: String, authority: String, matches: Bool) {
        #expect(AuthorityMatch(pattern: pattern).matches(Array(authority.utf8).span) == matches)
    }

    private static let paths: [(match: PathMatch, path: String, matches: Bool)] = [
        (.any, "/", true),
        (.any, "*", true),
        (PathMatch(service: "echo.Echo"), "/echo.Echo/Say", true),
        (PathMatch(service: "echo.Echo"), "/echo.Echo/", true),
        (PathMatch(service: "echo.Echo"), "/echo.Echo", false),
        (PathMatch(service: "echo.Echo"), "/echo.Echo2/Say", false),
        (PathMatch(service: "echo.Echo"), "/Echo.Echo/Say", false),
        (PathMatch(service: "echo.Echo"), "//echo.Echo/Say", false),
        (PathMatch(service: "echo.Echo", method: "Say"), "/echo.Echo/Say", true),
        (PathMatch(service: "echo.Echo", method: "Say"), "/echo.Echo/Say?x=1", true),
        (PathMatch(service: "echo.Echo", method: "Say"), "/echo.Echo/SayMore", false),
        (PathMatch(service: "echo.Echo", method: "Say"), "/echo.Echo/Sa", false),
        (PathMatch(service: "echo.Echo", method: "Say"), "/echo.Echo/say", false),
        (PathMatch(service: "echo.Echo", method: "Say"), "/echo.Echo/Say/", false),
        (.prefix(Array("/api".utf8)), "/api", true),
        (.prefix(Array("/api".utf8)), "/apis/x", true),
        (.prefix(Array("/api".utf8)), "/ap", false),
        (.prefix([]), "", true),
        (.exact(Array("/".utf8)), "/", true),
        (.exact(Array("/".utf8)), "", false),
    ]

    @Test("a path is compared byte by byte", arguments: paths)
    func path(match: PathMatch, path: String, matches: Bool) {
        #expect(match.matches(Array(path.utf8).span) == matches)
    }

    @Test("the first route whose conditions all hold wins")
    func order() {
        let table = RouteTable([
            Route(
                name: "both", authority: AuthorityMatch(pattern: "a"), path: PathMatch(service: "s", method: "M"),
                clusterIndex: 0),
            Route(name: "authority", authority: AuthorityMatch(pattern: "a"), clusterIndex: 1),
            Route(name: "path", path: PathMatch(service: "s"), clusterIndex: 2),
            Route(name: "shadowed", path: PathMatch(service: "s", method: "M"), clusterIndex: 3),
        ])
        func name(_ authority: String, _ path: String) -> String? {
            table.match(authority: Array(authority.utf8).span, path: Array(path.utf8).span)?.name
        }
        #expect(name("a", "/s/M") == "both")
        #expect(name("a", "/s/N") == "authority")
        #expect(name("b", "/s/M") == "path")
        #expect(name("b", "/t/M") == nil)
    }

    @Test("an empty table routes nothing")
    func empty() {
        #expect(Snapshot.empty.routes.match(authority: Array("a".utf8).span, path: Array("/".utf8).span) == nil)
    }
}
