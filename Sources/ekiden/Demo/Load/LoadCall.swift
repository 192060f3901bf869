import FoundationEssentials
import HTTP2
import NIOCore
import Policy
import SwiftProtobuf

/// One call of the load, from the caller's side. Confined to the load's loop.
final class LoadCall {
    enum Kind: Sendable, Hashable {
        case unary
        /// A server stream of ``streamMessages`` responses.
        case stream
    }

    let kind: Kind
    /// When the call should have begun; nanoseconds of the monotonic clock.
    let dueAt: Int64
    /// The task that answered; nil before its first message.
    private(set) var task: String?
    /// How it failed; nil while it is open and when it ended well.
    private(set) var failure: LoadFailure?
    private var reader = GRPCMessageReader()
    private var messages = 0
    private var status: GRPCStatus?
    private var statusMessage = ""

    private static let streamMessages: Int32 = 10
    private static let streamPauseMilliseconds: Int32 = 100
    private static let payloadSize = 64

    init(_ kind: Kind, dueAt: Int64) {
        self.kind = kind
        self.dueAt = dueAt
    }

    // MARK: Request

    func requestHeaders(authority: String) -> HeaderBlock {
        let headers = HeaderBlock()
        headers.append(":method", literal: "POST")
        headers.append(":scheme", literal: "http")
        switch kind {
        case .unary: headers.append(":path", literal: "/ekiden.echo.v1.Echo/Unary")
        case .stream: headers.append(":path", literal: "/ekiden.echo.v1.Echo/ServerStream")
        }
        headers.append(":authority", authority.utf8)
        headers.append("content-type", literal: "application/grpc")
        headers.append("te", literal: "trailers")
        headers.append("grpc-timeout", literal: "5S")
        headers.append("user-agent", literal: "ekiden-demo")
        return headers
    }

    func requestBody() -> BodyQueue {
        let body = BodyQueue()
        body.append(kind == .unary ? Self.unaryRequest : Self.streamRequest)
        body.finish()
        return body
    }

    private static let unaryRequest = framed { $0.payload = Data(count: payloadSize) }
    private static let streamRequest = framed {
        $0.payload = Data(count: payloadSize)
        $0.responseCount = streamMessages
        $0.delayMs = streamPauseMilliseconds
    }

    private static func framed(_ fill: (inout Ekiden_Echo_V1_EchoRequest) -> Void) -> ByteBuffer {
        var request = Ekiden_Echo_V1_EchoRequest()
        fill(&request)
        let bytes: [UInt8] = (try? request.serializedBytes()) ?? []
        return GRPCMessageReader.frame(bytes)
    }

    // MARK: Response

    /// Takes the response's head or its trailers; either may carry the status.
    func receive(_ headers: HeaderBlock) {
        if let value = headers.value(.grpcStatus) {
            let code = Int(String(decoding: value, as: UTF8.self))
            status = code.flatMap(GRPCStatus.init(rawValue:)) ?? .unknown
            statusMessage = headers.value(.grpcMessage).map { String(decoding: $0, as: UTF8.self) } ?? ""
        } else if let http = headers.status, http != 200 {
            status = .unknown
            statusMessage = "HTTP status \(http)"
        }
    }

    func receive(_ bytes: ByteBuffer) {
        reader.append(bytes)
        do throws(GRPCMessageReader.Problem) {
            while let message = try reader.next() {
                messages += 1
                if task == nil { task = try? Ekiden_Echo_V1_EchoResponse(serializedBytes: message).name }
            }
        } catch {
            fail(.internal, "the response is no sequence of gRPC messages: \(error)")
        }
    }

    /// The stream has ended; says what the call came to.
    func end(_ code: ErrorCode, connectionLost: Bool) {
        if connectionLost {
            fail(.unavailable, "the connection to the mesh was lost")
        } else if let status {
            let expected = kind == .unary ? 1 : Int(Self.streamMessages)
            if status != .ok {
                fail(status, statusMessage)
            } else if messages != expected || !reader.isEmpty {
                fail(.internal, "OK after \(messages) of \(expected) messages")
            }
        } else {
            fail(code == .refusedStream ? .unavailable : .internal, "ended without a status (\(code))")
        }
    }

    /// The first failure counts.
    func fail(_ status: GRPCStatus, _ message: String) {
        failure = failure ?? LoadFailure(kind: kind, status: status, message: message)
    }
}
