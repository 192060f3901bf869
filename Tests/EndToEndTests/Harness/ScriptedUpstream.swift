import Foundation

/// The upstream that misbehaves as each request asks for, and the check of what becomes of it.
final class ScriptedUpstream: Sendable {
    let child: ChildProcess
    /// Of its two endpoints.
    let ports: [Int]

    static func start() async throws -> ScriptedUpstream {
        let child = try ChildProcess("upstream.py", try Programs.python(), ["-u", script("upstream.py")])
        struct Ready: Decodable { var ports: [Int] }
        let ports = try await child.output.first("its ports") { line in
            try? JSONDecoder().decode(Ready.self, from: Data(line.utf8)).ports
        }
        return ScriptedUpstream(child: child, ports: ports)
    }

    private init(child: ChildProcess, ports: [Int]) {
        self.child = child
        self.ports = ports
    }

    static let folder = Programs.root.appendingPathComponent("Tests/Conformance")

    static func script(_ name: String) -> String { folder.appendingPathComponent(name).path }

    /// What a cluster of both endpoints discovers.
    var discover: String { "static://" + ports.map { "127.0.0.1:\($0)" }.joined(separator: ",") }
}

/// The table of what each policy makes of a misbehaving upstream.
struct PolicyTable: Decodable, Sendable {
    var policies: [String: Policy]

    /// What its route and its cluster have beside the usual, as in a flow mapping.
    struct Policy: Decodable, Sendable {
        var route: String?
        var cluster: String?
    }

    static func read() throws -> PolicyTable {
        let url = ScriptedUpstream.folder.appendingPathComponent("upstream_policies.json")
        return try JSONDecoder().decode(PolicyTable.self, from: Data(contentsOf: url))
    }

    /// A route and a cluster for each policy, by its name as authority.
    ///
    /// Endpoints are not judged, for all of them fail all the time, and the budget is large: a case is about one call.
    func configuration(_ upstream: ScriptedUpstream) -> String {
        var routes: [String] = []
        var clusters: [String] = []
        for (name, policy) in policies.sorted(by: { $0.key < $1.key }) {
            let route = policy.route.map { ", \($0)" } ?? ""
            let cluster = policy.cluster ?? "retry_budget: {ratio: 1, min_per_second: 1000}"
            routes.append("  - {match: {authority: \(name)}, cluster: \(name)\(route)}")
            clusters.append("  \(name): {discover: \"\(upstream.discover)\", outlier_detection: off, \(cluster)}")
        }
        return """
            listeners: [{name: mesh, listen: "127.0.0.1:0"}]
            routes:
            \(routes.joined(separator: "\n"))
            clusters:
            \(clusters.joined(separator: "\n"))
            """
    }
}
