import Testing

extension EndToEnd {
    /// The official gRPC interop client and server of Debian's ruby-grpc.
    @Suite("gRPC interop")
    struct Interop {
        static let cases = [
            "empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
            "timeout_on_sleeping_server", "cancel_after_begin", "cancel_after_first_response", "custom_metadata",
            "status_code_and_message", "unimplemented_method", "unimplemented_service",
        ]

        @Test("The interop client and server pass all their cases through the mesh")
        func ruby() async throws {
            let server = try PeerProcess.ruby("interop.rb", ["server", TaskServer.address(0)])
            try await run(Self.cases, against: server)
        }

        @Test("Compressed requests arrive as compressed as they were sent")
        func compressed() async throws {
            // The Ruby server does not check these two.
            let server = try PeerProcess.python("compressed_server.py", [TaskServer.address(0)])
            try await run(["client_compressed_unary", "client_compressed_streaming"], against: server)
        }

        private func run(_ cases: [String], against server: PeerProcess) async throws {
            try await Processes.scope { processes in
                processes.adopt(server.child)
                let port = try #require(try await server.event("listening").port)
                let admin = "127.0.0.1:\(try FreePort.next())"
                let upstream = "static://\(TaskServer.address(0)):\(port)"
                let ekiden = try await EkidenProcess.run(
                    ["--listen", "127.0.0.1:0", "--upstream", upstream, "--admin", admin], admin: admin)
                processes.adopt(ekiden.child)
                let client = try PeerProcess.ruby("interop.rb", ["client", ekiden.target] + cases)
                processes.adopt(client.child)
                for name in cases {
                    let result = try await client.event("result") { $0.case == name }
                    #expect(result.ok == true, "\(name): \(result.error ?? "")")
                }
                try await ekiden.checkSettled()
            }
        }
    }
}
