import Foundation
import Testing

extension EndToEnd {
    @Suite("Errors")
    struct Errors {
        @Test("A cluster without endpoints answers UNAVAILABLE and names itself")
        func noEndpoint() async throws {
            try await Processes.scope { processes in
                let dns = try await DNSServer.start([])
                processes.adopt(dns.child)
                let admin = "127.0.0.1:\(try FreePort.next())"
                let ekiden = try await EkidenProcess.run(
                    [
                        "--listen", "127.0.0.1:0", "--upstream", "dns://nobody.local:50051",
                        "--dns-server", "127.0.0.1:\(dns.port)", "--admin", admin,
                    ], admin: admin)
                processes.adopt(ekiden.child)
                let facts = try await Client.run("expect", target: ekiden.target)
                #expect(facts.code == "UNAVAILABLE")
                #expect(facts.message?.contains("nobody.local") == true, "\(facts.message ?? "")")
                #expect(facts.seconds ?? .infinity < 10)
            }
        }

        @Test("A task that refuses connections: UNAVAILABLE, with the cluster's name, and no hang")
        func refused() async throws {
            try await Processes.scope { processes in
                let port = try FreePort.next()
                let admin = "127.0.0.1:\(try FreePort.next())"
                let ekiden = try await EkidenProcess.run(
                    ["--listen", "127.0.0.1:0", "--upstream", "static://127.0.0.1:\(port)", "--admin", admin],
                    admin: admin)
                processes.adopt(ekiden.child)
                let facts = try await Client.run("expect", target: ekiden.target)
                #expect(facts.code == "UNAVAILABLE")
                #expect(facts.message?.contains("static") == true, "\(facts.message ?? "")")
                #expect(facts.seconds ?? .infinity < 10)
            }
        }

        @Test("A caller that does not speak gRPC gets the failure as HTTP status and JSON")
        func http() async throws {
            try await Processes.scope { processes in
                let port = try FreePort.next()
                let admin = "127.0.0.1:\(try FreePort.next())"
                let ekiden = try await EkidenProcess.run(
                    ["--listen", "127.0.0.1:0", "--upstream", "static://127.0.0.1:\(port)", "--admin", admin],
                    admin: admin)
                processes.adopt(ekiden.child)
                let answer = try await Curl.get("http://\(ekiden.target)/", ["--http2-prior-knowledge"])
                #expect(answer.status == 503, "\(answer.error)")
                let body = try JSONDecoder().decode([String: String].self, from: Data(answer.body.utf8))
                #expect(body["error"] == "connect_failure")
                #expect(body["message"]?.contains("static") == true, "\(answer.body)")
            }
        }

        @Test("A request that no route matches: UNIMPLEMENTED")
        func noRoute() async throws {
            try await Processes.scope { processes in
                let ekiden = try await EkidenProcess.run(
                    try ConfigurationFile(
                        """
                        listeners: [{name: mesh, listen: "127.0.0.1:0"}]
                        routes: [{match: {service: some.other.Service}, cluster: other}]
                        clusters: {other: {discover: "static://127.0.0.1:9"}}
                        """))
                processes.adopt(ekiden.child)
                let facts = try await Client.run("expect", target: ekiden.target)
                #expect(facts.code == "UNIMPLEMENTED")
            }
        }

        @Test("A caller that waits for ready gets through once the proxy is there")
        func waitForReady() async throws {
            try await Processes.scope { processes in
                let tasks = try await TaskServer.start(1, .sync)
                processes.adopt(tasks.peer.child)
                let port = try FreePort.next()
                let client = try Client("reconnect", target: "127.0.0.1:\(port)")
                processes.adopt(client.peer.child)
                try await client.peer.event("waiting")
                let admin = "127.0.0.1:\(try FreePort.next())"
                let upstream = "static://\(TaskServer.address(0)):\(tasks.port)"
                let ekiden = try await EkidenProcess.run(
                    ["--listen", "127.0.0.1:\(port)", "--upstream", upstream, "--admin", admin], admin: admin)
                processes.adopt(ekiden.child)
                _ = try await client.facts(within: .seconds(60))
            }
        }
    }
}
