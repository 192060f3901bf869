import HTTP2
import NIOCore
import Policy

/// The one place that turns a ``Policy/Failure`` into an answer: trailers-only with status and message for gRPC (HTTP
/// 200), a status and a small JSON body for everything else.
enum LocalReply {
    /// Bytes of a `grpc-message` on the wire.
    private static let messageMax = 512

    /// - Returns: the body, or nil when the answer has none.
    static func write(_ failure: Failure, to headers: HeaderBlock, isGRPC: Bool, isHead: Bool) -> ByteBuffer? {
        if isGRPC {
            headers.append(":status", literal: "200")
            headers.append("content-type", literal: "application/grpc")
            writeTrailers(failure, to: headers)
            return nil
        }
        let body = ByteBuffer(
            string: "{\"error\":\"\(failure.kind.reason)\",\"message\":\(JSONText.quoted(failure.message))}\n")
        headers.append(":status", String(failure.httpStatus).utf8)
        headers.append("content-type", literal: "application/json")
        headers.append("content-length", String(body.readableBytes).utf8)
        headers.append("x-ekiden-reason", failure.kind.reason.utf8)
        if let pushback = failure.pushback {
            // Whole seconds (RFC 9110, 10.2.3), never less than what is meant.
            headers.append("retry-after", String((pushback.nanoseconds + 999_999_999) / 1_000_000_000).utf8)
        }
        return isHead ? nil : body
    }

    static func writeTrailers(_ failure: Failure, to trailers: HeaderBlock) {
        trailers.append("grpc-status", String(failure.grpcStatus.rawValue).utf8)
        trailers.append("grpc-message", PercentEncoding.encode(failure.message, limit: messageMax))
        trailers.append("x-ekiden-reason", failure.kind.reason.utf8)
        if let pushback = failure.pushback {
            trailers.append("grpc-retry-pushback-ms", String((pushback.nanoseconds + 999_999) / 1_000_000).utf8)
        }
    }
}
