import HTTP2
import NIOCore
import Policy

/// Asks a task, on a new connection, whether it serves what the cluster is for: addresses are used again, by other
/// services too.
///
/// One call of `grpc.health.v1.Health/Check` (github.com/grpc/grpc/blob/master/doc/health-checking.md) on a stream of
/// its own. Knows no connection: the owner of the stream hands on what came.
struct ServiceVerification {
    /// What the task's answer comes to.
    enum Verdict: Equatable {
        case serving
        /// What it said instead, in capitals if it is a word of the protocol: `NOT_SERVING`, `UNIMPLEMENTED`.
        case refused(String)
    }

    let service: String
    /// What is asked for, as messages have it.
    var subject: String { service.isEmpty ? "anything" : service }
    private var httpStatus: Int?
    private var grpcStatus: Int?
    private var body: [UInt8] = []

    /// - Parameter service: the full name of a gRPC service, or empty for the task as a whole.
    init(service: String) {
        self.service = service
    }

    // MARK: Question

    /// Writes the request's head.
    /// - Parameters:
    ///   - authority: of the task.
    ///   - timeout: nanoseconds after which nobody waits for the answer.
    func writeHead(to headers: HeaderBlock, authority: String, timeout: Int64) {
        headers.append(":method", literal: "POST")
        headers.append(":scheme", literal: "http")
        headers.append(":path", literal: "/grpc.health.v1.Health/Check")
        headers.append(":authority", authority.utf8)
        headers.append("te", literal: "trailers")
        headers.append("content-type", literal: "application/grpc")
        headers.append("user-agent", literal: "ekiden")
        // Eight digits at most, as gRPC has it.
        headers.append("grpc-timeout", "\(min(max(timeout / 1_000_000, 1), 99_999_999))m".utf8)
    }

    /// The request's body.
    var message: [UInt8] { HealthMessage.request(service: service) }

    // MARK: Answer

    /// A head or trailers came.
    mutating func receive(_ headers: HeaderBlock) {
        if let status = headers.status { httpStatus = status }
        if let status = headers.value(.grpcStatus) { grpcStatus = RequestFacts.number(status) ?? -1 }
    }

    /// Bytes of the answer's body came.
    mutating func receive(_ bytes: some Sequence<UInt8>) {
        // One more than the most, so that too many are seen as too many.
        body += bytes.prefix(max(HealthMessage.answerMax + 1 - body.count, 0))
    }

    /// What the answer means, now that the stream is closed.
    /// - Parameters:
    ///   - isComplete: whether the task has ended its direction.
    ///   - reset: the code of the task's RST_STREAM. Behind a complete answer it only says that the rest of the
    ///     question is not wanted (RFC 9113, 8.1).
    func verdict(isComplete: Bool, reset: ErrorCode?) -> Verdict {
        if !isComplete, let reset { return .refused("stream reset: \(reset)") }
        guard isComplete, let httpStatus else { return .refused("no answer") }
        if let grpcStatus, grpcStatus != 0 {
            return .refused(GRPCStatus(rawValue: grpcStatus)?.name ?? "unknown gRPC status")
        }
        guard httpStatus == 200 else { return .refused("HTTP status \(httpStatus)") }
        guard grpcStatus == 0 else { return .refused("no gRPC status") }
        guard let status = HealthMessage.status(in: body) else { return .refused("an answer that cannot be read") }
        return status == .serving ? .serving : .refused(status.description)
    }
}
