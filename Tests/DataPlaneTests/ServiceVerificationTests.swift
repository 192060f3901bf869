import HTTP2
import Testing

@testable import DataPlane

@Suite("Verification of a task's service")
struct ServiceVerificationTests {
    @Test("the question is a health check as protobuf and gRPC write it")
    func question() {
        #expect(ServiceVerification(service: "a.B").message == [0, 0, 0, 0, 5, 0x0A, 3] + Array("a.B".utf8))
        #expect(ServiceVerification(service: "").message == [0, 0, 0, 0, 0])
        let long = String(repeating: "s", count: 300)
        #expect(ServiceVerification(service: long).message.prefix(8) == [0, 0, 0, 1, 47, 0x0A, 0xAC, 2])
        let headers = HeaderBlock()
        ServiceVerification(service: "a.B").writeHead(to: headers, authority: "10.0.0.4:1", timeout: 2_000_000_000)
        #expect(
            headers.dictionary == [
                ":method": "POST", ":scheme": "http", ":path": "/grpc.health.v1.Health/Check",
                ":authority": "10.0.0.4:1", "te": "trailers", "content-type": "application/grpc",
                "user-agent": "ekiden", "grpc-timeout": "2000m",
            ])
    }

    private static let head: Fields = [(":status", "200"), ("content-type", "application/grpc")]

    private func verdict(
        _ head: Fields = head, body: [UInt8] = [], trailers: Fields? = [("grpc-status", "0")],
        isComplete: Bool = true, reset: ErrorCode? = nil
    ) -> ServiceVerification.Verdict {
        var verification = ServiceVerification(service: "a.B")
        verification.receive(HeaderBlock.make(head))
        // In two pieces.
        verification.receive(body.prefix(3))
        verification.receive(body.dropFirst(3))
        if let trailers { verification.receive(HeaderBlock.make(trailers)) }
        return verification.verdict(isComplete: isComplete, reset: reset)
    }

    private static let messages: [([UInt8], ServiceVerification.Verdict)] = [
        ([8, 1], .serving),
        ([], .refused("UNKNOWN")),
        ([8, 0], .refused("UNKNOWN")),
        ([8, 2], .refused("NOT_SERVING")),
        ([8, 3], .refused("SERVICE_UNKNOWN")),
        ([8, 9], .refused("serving status 9")),
        // The last one counts, and fields of a later version are passed over.
        ([8, 2, 8, 1], .serving),
        ([0x12, 2, 8, 2, 8, 1], .serving),
        ([0x11, 1, 2, 3, 4, 5, 6, 7, 8, 8, 1, 0x1D, 1, 2, 3, 4], .serving),
        ([8, 0x81, 0x80, 0], .serving),
        // Cut off, too long, of no known type.
        ([8], .refused("an answer that cannot be read")),
        ([8, 0x80], .refused("an answer that cannot be read")),
        ([0x12, 5, 1], .refused("an answer that cannot be read")),
        ([0x12, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1], .refused("an answer that cannot be read")),
        ([0x0B], .refused("an answer that cannot be read")),
        ([8] + Array(repeating: 0x80, count: 12), .refused("an answer that cannot be read")),
    ]

    @Test("an answer is read as protobuf would", arguments: messages)
    func answer(message: [UInt8], expected: ServiceVerification.Verdict) {
        #expect(verdict(body: [0, 0, 0, 0, UInt8(message.count)] + message) == expected)
    }

    @Test("whatever else a task says is no yes")
    func refusals() {
        let yes: [UInt8] = [0, 0, 0, 0, 2, 8, 1]
        #expect(verdict(body: yes) == .serving)
        #expect(verdict(body: yes, trailers: [("grpc-status", "5")]) == .refused("NOT_FOUND"))
        #expect(verdict(Self.head + [("grpc-status", "12")], trailers: nil) == .refused("UNIMPLEMENTED"))
        #expect(verdict(body: yes, trailers: [("grpc-status", "99")]) == .refused("unknown gRPC status"))
        #expect(verdict(body: yes, trailers: [("grpc-status", "zero")]) == .refused("unknown gRPC status"))
        #expect(verdict(body: yes, trailers: nil) == .refused("no gRPC status"))
        #expect(verdict([(":status", "404")], trailers: nil) == .refused("HTTP status 404"))
        #expect(verdict(body: yes, isComplete: false) == .refused("no answer"))
        let refused = ServiceVerification.Verdict.refused("stream reset: REFUSED_STREAM")
        #expect(verdict(body: yes, isComplete: false, reset: .refusedStream) == refused)
        // A reset behind a complete answer is none.
        #expect(verdict(body: yes, reset: .noError) == .serving)
        #expect(ServiceVerification(service: "").verdict(isComplete: true, reset: nil) == .refused("no answer"))
        let unreadable = ServiceVerification.Verdict.refused("an answer that cannot be read")
        // Compressed, of another length, without a message, without an end.
        #expect(verdict(body: [1] + yes.dropFirst()) == unreadable)
        #expect(verdict(body: yes + [0]) == unreadable)
        #expect(verdict(body: []) == unreadable)
        #expect(verdict(body: [0, 0, 1, 0, 0] + [UInt8](repeating: 8, count: 65_536)) == unreadable)
    }
}
