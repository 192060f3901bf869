import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Testing

extension EndToEnd {
    /// grpc-swift on both sides of the mesh.
    @Suite("grpc-swift")
    struct SwiftPeers {
        private typealias Caller = GRPCClient<HTTP2ClientTransport.Posix>
        private let coder = BytesCoder()

        @Test("Unary calls carry messages of 0 bytes to 4 MiB", arguments: [0, 1, 1024, 65_536, 1 << 20, 4 << 20])
        func sizes(_ size: Int) async throws {
            try await withMesh { client in
                let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
                let echoed = try await client.unary(
                    request: ClientRequest(message: payload), descriptor: BytesService.echo, serializer: coder,
                    deserializer: coder, options: unlimited
                ) { try $0.message }
                #expect(echoed == payload)
            }
        }

        @Test("Streams run in both directions")
        func streams() async throws {
            try await withMesh { client in
                let sum = try await client.clientStreaming(
                    request: StreamingClientRequest { writer in
                        for _ in 0..<500 { try await writer.write([UInt8](repeating: 7, count: 1000)) }
                    }, descriptor: BytesService.sum, serializer: coder, deserializer: coder, options: .defaults
                ) { try $0.message }
                #expect(String(decoding: sum, as: UTF8.self) == "500000")

                let repeated = try await client.serverStreaming(
                    request: ClientRequest(message: [UInt8](repeating: 9, count: 300_000)),
                    descriptor: BytesService.repeated, serializer: coder, deserializer: coder, options: unlimited
                ) { response in
                    try await response.messages.reduce(into: 0) { $0 += $1.count }
                }
                #expect(repeated == 3_000_000)

                let echoed = try await client.bidirectionalStreaming(
                    request: StreamingClientRequest { writer in
                        for index in 0..<100 { try await writer.write([UInt8(index)]) }
                    }, descriptor: BytesService.echo, serializer: coder, deserializer: coder, options: .defaults
                ) { response in
                    try await response.messages.reduce(into: []) { $0 += $1 }
                }
                #expect(echoed == Array(0..<100))
            }
        }

        @Test("Metadata, binary too, goes to the server and comes back in the trailers")
        func metadata() async throws {
            try await withMesh { client in
                var metadata: Metadata = ["x-text": "a value"]
                metadata.addBinary(Array(0...255), forKey: "x-bytes-bin")
                let (initial, trailing) = try await client.unary(
                    request: ClientRequest(message: [1], metadata: metadata), descriptor: BytesService.echo,
                    serializer: coder, deserializer: coder, options: .defaults
                ) { ($0.metadata, $0.trailingMetadata) }
                #expect(Array(initial[stringValues: "x-initial"]) == ["here"])
                #expect(Array(trailing[stringValues: "x-text"]) == ["a value"])
                #expect(Array(trailing[binaryValues: "x-bytes-bin"]) == [Array(0...255)])
            }
        }

        @Test("A status arrives with its message, percent-encoded on the way")
        func status() async throws {
            try await withMesh { client in
                // grpc-swift's own metadata is ASCII, so the text comes from the server's side of the test.
                let error = try await client.unary(
                    request: ClientRequest(message: [], metadata: ["x-fail": "100% of it"]),
                    descriptor: BytesService.echo, serializer: coder, deserializer: coder, options: .defaults
                ) { response -> RPCError? in
                    if case .failure(let error) = response.accepted { error } else { nil }
                }
                #expect(error?.code == .failedPrecondition)
                #expect(error?.message == "100% of it")
            }
        }

        @Test("A deadline ends a call that hangs")
        func deadline() async throws {
            try await withMesh { client in
                var options = CallOptions.defaults
                options.timeout = .milliseconds(300)
                let started = ContinuousClock.now
                // grpc-swift throws at its own timer and answers with what the wire said: either may come first.
                let code: RPCError.Code?
                do {
                    code = try await client.unary(
                        request: ClientRequest(message: []), descriptor: BytesService.hang, serializer: coder,
                        deserializer: coder, options: options
                    ) { response in
                        if case .failure(let error) = response.accepted { error.code } else { nil }
                    }
                } catch let error as RPCError {
                    code = error.code
                }
                #expect(code == .deadlineExceeded)
                #expect(ContinuousClock.now - started < .seconds(3))
            }
        }

        private var unlimited: CallOptions {
            var options = CallOptions.defaults
            options.maxRequestMessageBytes = 8 << 20
            options.maxResponseMessageBytes = 8 << 20
            return options
        }

        /// A grpc-swift server, Ekiden in front of it, and a grpc-swift client of that.
        private func withMesh(_ body: (Caller) async throws -> Void) async throws {
            var config = HTTP2ServerTransport.Posix.Config.defaults
            config.rpc.maxRequestPayloadSize = 8 << 20
            let transport = HTTP2ServerTransport.Posix(
                address: .ipv4(host: TaskServer.address(0), port: 0), transportSecurity: .plaintext, config: config)
            try await withGRPCServer(transport: transport, services: [BytesService()]) { server in
                let port = try #require(try await server.listeningAddress?.ipv4?.port)
                try await Processes.scope { processes in
                    let admin = "127.0.0.1:\(try FreePort.next())"
                    let upstream = "static://\(TaskServer.address(0)):\(port)"
                    let ekiden = try await EkidenProcess.run(
                        ["--listen", "127.0.0.1:0", "--upstream", upstream, "--admin", admin], admin: admin)
                    processes.adopt(ekiden.child)
                    let mesh = try #require(ekiden.target.split(separator: ":").last.flatMap { Int($0) })
                    try await withGRPCClient(
                        transport: try HTTP2ClientTransport.Posix(
                            target: .ipv4(address: "127.0.0.1", port: mesh), transportSecurity: .plaintext)
                    ) { client in
                        try await body(client)
                    }
                    try await ekiden.checkSettled()
                }
            }
        }
    }
}
