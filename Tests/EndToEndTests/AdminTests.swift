import Foundation
import Testing

extension EndToEnd {
    @Suite("Admin")
    struct Admin {
        @Test("/live, /ready, /metrics and /clusters tell what goes on")
        func pages() async throws {
            try await Mesh.with { mesh in
                let facts = try await mesh.call("sequential", ["--count", "30"])
                #expect(facts.failed == 0)
                #expect(try await mesh.ekiden.get("/live").status == 200)
                #expect(try await mesh.ekiden.get("/ready").status == 200)
                #expect(try await mesh.ekiden.get("/nothing").status == 404)

                let metrics = try await mesh.ekiden.metrics()
                #expect(metrics.sum("ekiden_requests_total", "cluster=\"\(DNSServer.name)\"") == 30)
                #expect(metrics.sum("ekiden_requests_total", "grpc_status=\"") == 30)

                let clusters = try await mesh.ekiden.get("/clusters")
                #expect(clusters.status == 200)
                let isJSON = (try? JSONSerialization.jsonObject(with: Data(clusters.body.utf8))) != nil
                #expect(isJSON, "\(clusters.body)")
                for index in 0..<3 {
                    #expect(clusters.body.contains("\(TaskServer.address(index)):\(mesh.tasks.port)"))
                }
            }
        }

        @Test("`ekiden healthcheck` exits 0 while ready and 1 when nobody answers")
        func healthcheckVerb() async throws {
            try await Mesh.with(.init(tasks: 1)) { mesh in
                let code = try await healthcheck(mesh.ekiden.admin)
                #expect(code == 0)
            }
            let nobody = "127.0.0.1:\(try FreePort.next())"
            let code = try await healthcheck(nobody)
            #expect(code == 1)
        }

        private func healthcheck(_ admin: String) async throws -> Int32 {
            let child = try ChildProcess(
                "ekiden healthcheck", try Programs.ekiden(), ["healthcheck", "--admin", admin])
            return try await child.exitCode(within: .seconds(10))
        }
    }
}
