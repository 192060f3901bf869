import GRPCCore

/// Messages that are just bytes, so that grpc-swift needs no generated code here.
struct BytesCoder: MessageSerializer, MessageDeserializer {
    func serialize<Bytes: GRPCContiguousBytes>(_ message: [UInt8]) throws -> Bytes {
        Bytes(message)
    }

    func deserialize<Bytes: GRPCContiguousBytes>(_ serializedMessageBytes: Bytes) throws -> [UInt8] {
        serializedMessageBytes.withUnsafeBytes { Array($0) }
    }
}

/// A service on grpc-swift's server: each method echoes what arrives, one response per request message.
struct BytesService: RegistrableRPCService {
    /// Answers each message with itself, the metadata in the trailers; `x-fail` ends the call with its text.
    static let echo = MethodDescriptor(fullyQualifiedService: "ekiden.test.Bytes", method: "Echo")
    /// Reads all messages and answers with the sum of their sizes, as text.
    static let sum = MethodDescriptor(fullyQualifiedService: "ekiden.test.Bytes", method: "Sum")
    /// Answers one message ten times.
    static let repeated = MethodDescriptor(fullyQualifiedService: "ekiden.test.Bytes", method: "Repeat")
    /// Never answers.
    static let hang = MethodDescriptor(fullyQualifiedService: "ekiden.test.Bytes", method: "Hang")

    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        let coder = BytesCoder()
        router.registerHandler(forMethod: Self.echo, deserializer: coder, serializer: coder) { request, _ in
            let metadata = request.metadata
            if let message = metadata[stringValues: "x-fail"].first(where: { _ in true }) {
                throw RPCError(code: .failedPrecondition, message: message)
            }
            return StreamingServerResponse(metadata: ["x-initial": "here"]) { writer in
                for try await message in request.messages {
                    try await writer.write(message)
                }
                return Metadata(metadata.filter { $0.key.hasPrefix("x-") })
            }
        }
        router.registerHandler(forMethod: Self.sum, deserializer: coder, serializer: coder) { request, _ in
            var sum = 0
            for try await message in request.messages { sum += message.count }
            let text = Array("\(sum)".utf8)
            return StreamingServerResponse { writer in
                try await writer.write(text)
                return [:]
            }
        }
        router.registerHandler(forMethod: Self.repeated, deserializer: coder, serializer: coder) { request, _ in
            StreamingServerResponse { writer in
                for try await message in request.messages {
                    for _ in 0..<10 { try await writer.write(message) }
                }
                return [:]
            }
        }
        router.registerHandler(forMethod: Self.hang, deserializer: coder, serializer: coder) { _, _ in
            try await Task.sleep(for: .seconds(60))
            return StreamingServerResponse(error: RPCError(code: .internalError, message: "nobody cancelled"))
        }
    }
}
