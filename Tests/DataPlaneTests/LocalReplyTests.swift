import HTTP2
import NIOCore
import Policy
import Testing

@testable import DataPlane

@Suite("Answers of the proxy's own")
struct LocalReplyTests {
    private func write(
        _ failure: Failure, isGRPC: Bool, isHead: Bool = false
    ) -> (fields: [String], body: String?) {
        let block = HeaderBlock()
        let body = LocalReply.write(failure, to: block, isGRPC: isGRPC, isHead: isHead)
        return (block.textFields.map { "\($0.name): \($0.value)" }, body.map { String(buffer: $0) })
    }

    @Test("gRPC gets HTTP 200, the status and the message in one head, and no body", arguments: Failure.Kind.allCases)
    func grpc(kind: Failure.Kind) {
        let (fields, body) = write(Failure(kind, "cluster users: 100% gone\n"), isGRPC: true)
        #expect(
            fields == [
                ":status: 200", "content-type: application/grpc", "grpc-status: \(kind.grpcStatus.rawValue)",
                "grpc-message: cluster users: 100%25 gone%0A", "x-ekiden-reason: \(kind.reason)",
            ])
        #expect(body == nil)
    }

    @Test("others get the HTTP status and a small JSON body", arguments: Failure.Kind.allCases)
    func http(kind: Failure.Kind) {
        let (fields, body) = write(Failure(kind, #"no "route""#), isGRPC: false)
        let text = "{\"error\":\"\(kind.reason)\",\"message\":\"no \\\"route\\\"\"}\n"
        #expect(body == text)
        #expect(
            fields == [
                ":status: \(kind.httpStatus)", "content-type: application/json", "content-length: \(text.utf8.count)",
                "x-ekiden-reason: \(kind.reason)",
            ])
    }

    @Test("HEAD gets the head of the answer and no body")
    func head() {
        let full = write(Failure(.noRoute, "no route"), isGRPC: false)
        let head = write(Failure(.noRoute, "no route"), isGRPC: false, isHead: true)
        #expect(head.fields == full.fields)
        #expect(head.body == nil)
    }

    @Test("a long message is cut")
    func longMessage() throws {
        let trailers = HeaderBlock()
        LocalReply.writeTrailers(Failure(.connectionLost, String(repeating: "駅", count: 1_000)), to: trailers)
        let message = try #require(trailers.value(.grpcMessage))
        #expect(message.count <= 512)
        #expect(message.count % 3 == 0)
    }
}
