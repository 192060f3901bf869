import Foundation
import Testing

extension EndToEnd {
    @Suite("Listeners")
    struct Listeners {
        @Test("Calls come in over IPv6")
        func ipv6() async throws {
            try await Mesh.with(.init(listen: "[::1]:0")) { mesh in
                #expect(mesh.ekiden.target.hasPrefix("[::1]:"))
                _ = try await mesh.call("kinds")
            }
        }

        @Test("Calls come in over a Unix socket")
        func unixSocket() async throws {
            let path = "/tmp/ekiden-\(UUID().uuidString).sock"
            defer { try? FileManager.default.removeItem(atPath: path) }
            try await Mesh.with(.init(discovery: .fixed, listen: "unix:\(path)")) { mesh in
                _ = try await mesh.call("kinds")
            }
        }

        @Test("Several listeners serve side by side")
        func several() async throws {
            try await Processes.scope { processes in
                let tasks = try await TaskServer.start(1, .sync)
                processes.adopt(tasks.peer.child)
                let file = try ConfigurationFile(
                    """
                    listeners:
                      - {name: first, listen: "127.0.0.1:0"}
                      - {name: second, listen: "127.0.0.1:0"}
                    routes: [{cluster: tasks}]
                    clusters: {tasks: {discover: "static://\(TaskServer.address(0)):\(tasks.port)"}}
                    """)
                let ekiden = try await EkidenProcess.run(file, listenerCount: 2)
                processes.adopt(ekiden.child)
                for name in ["first", "second"] {
                    let target = try #require(ekiden.listeners[name])
                    _ = try await Client.run("sequential", target: target, ["--count", "10"])
                }
            }
        }

        @Test("HTTP/1.1 is refused with a status and a sentence, not with silence")
        func http1() async throws {
            try await Mesh.with(.init(tasks: 1, discovery: .fixed)) { mesh in
                let answer = try await Curl.get("http://\(mesh.ekiden.target)/", ["--http1.1"])
                #expect([426, 505].contains(answer.status))
                #expect(answer.body.contains("HTTP/2"), "\(answer.body)")
                _ = try await mesh.call("sequential", ["--count", "10"])
            }
        }

        @Test("TLS on the clear port is refused at once")
        func tls() async throws {
            try await Mesh.with(.init(tasks: 1, discovery: .fixed)) { mesh in
                let answer = try await Curl.get("https://\(mesh.ekiden.target)/", ["--insecure"])
                #expect(answer.exitCode != 0)
                #expect(answer.seconds < 4)
                _ = try await mesh.call("sequential", ["--count", "10"])
            }
        }

        @Test("What is not gRPC goes to the task too, and the task's reset comes back with its code")
        func plainHTTP2() async throws {
            try await Mesh.with(.init(tasks: 1, discovery: .fixed)) { mesh in
                // A grpcio server resets requests that are not gRPC.
                let answer = try await Curl.get("http://\(mesh.ekiden.target)/x", ["--http2-prior-knowledge"])
                #expect(answer.error.contains("INTERNAL_ERROR"), "\(answer.error)")
                _ = try await mesh.call("sequential", ["--count", "10"])
            }
        }
    }
}
