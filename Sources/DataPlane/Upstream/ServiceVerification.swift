import HTTP2
import NIOCore
import Policy

/// Asks a task, on a new connection, whether it serves what the cluster is for: addresses are used again, by other
/// services too.
///
/// One call of `grpc.health.v1.Health/Check` (github.com/grpc/grpc/blob/master/doc/health-checking.md) on a stream of
/// its own. The two messages are small enough to be written and read by hand. Knows no connection: the owner of the
/// stream hands on what came.
struct ServiceVerification {
    /// What the task's answer comes to.
    enum Verdict: Equatable {
        case serving
        /// What it said instead, in capitals if it is a word of the protocol: `NOT_SERVING`, `UNIMPLEMENTED`.
        case refused(String)
    }

    /// `ServingStatus` of health.proto.
    private enum ServingStatus: UInt64 {
        case unknown = 0
        case serving, notServing, serviceUnknown

        var name: String {
            switch self {
            case .unknown: "UNKNOWN"
            case .serving: "SERVING"
            case .notServing: "NOT_SERVING"
            case .serviceUnknown: "SERVICE_UNKNOWN"
            }
        }
    }

    let service: String
    /// What is asked for, as messages have it.
    var subject: String { service.isEmpty ? "anything" : service }
    private var httpStatus: Int?
    private var grpcStatus: Int?
    private var body: [UInt8] = []

    /// The answer has some ten bytes; whoever sends more speaks of something else.
    private static let bodyMax = 1_024

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

    /// The request's body: `HealthCheckRequest { service = 1 }` behind gRPC's prefix of five bytes.
    var message: [UInt8] {
        let name = Array(service.utf8)
        let content = name.isEmpty ? [] : [0x0A] + Self.varint(name.count) + name
        return [0] + (0..<4).map { UInt8(truncatingIfNeeded: content.count >> (24 - 8 * $0)) } + content
    }

    private static func varint(_ value: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        var left = value
        while left >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: left) | 0x80)
            left >>= 7
        }
        return bytes + [UInt8(left)]
    }

    // MARK: Answer

    /// A head or trailers came.
    mutating func receive(_ headers: HeaderBlock) {
        if let status = headers.status { httpStatus = status }
        if let status = headers.value(.grpcStatus) { grpcStatus = RequestFacts.number(status) ?? -1 }
    }

    /// Bytes of the answer's body came.
    mutating func receive(_ bytes: some Sequence<UInt8>) {
        // One more than the most, so that too many are seen as too many.
        body += bytes.prefix(max(Self.bodyMax + 1 - body.count, 0))
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
        guard let number = servingStatus else { return .refused("an answer that cannot be read") }
        switch ServingStatus(rawValue: number) {
        case .serving: return .serving
        case let status?: return .refused(status.name)
        case nil: return .refused("serving status \(number)")
        }
    }

    /// Field 1 of the message, zero if it is absent; nil when the body is no such message.
    private var servingStatus: UInt64? {
        guard body.count >= 5, body.count <= Self.bodyMax, body[0] == 0 else { return nil }
        let length = body[1..<5].reduce(0) { $0 << 8 | Int($1) }
        guard length == body.count - 5 else { return nil }
        var reader = FieldReader(rest: body[5...])
        var status: UInt64 = 0
        while !reader.rest.isEmpty {
            guard let field = reader.next() else { return nil }
            if field.number == 1, let value = field.varint { status = value }
        }
        return status
    }

    /// Reads a protobuf message field by field, and knows the values of none but varints.
    private struct FieldReader {
        var rest: ArraySlice<UInt8>

        /// The next field; nil when the bytes are none.
        mutating func next() -> (number: UInt64, varint: UInt64?)? {
            guard let key = varint() else { return nil }
            switch key & 7 {
            case 0:
                guard let value = varint() else { return nil }
                return (key >> 3, value)
            case 1: return skip(8) ? (key >> 3, nil) : nil
            case 2:
                guard let length = varint(), length <= UInt64(rest.count), skip(Int(length)) else { return nil }
                return (key >> 3, nil)
            case 5: return skip(4) ? (key >> 3, nil) : nil
            default: return nil
            }
        }

        private mutating func skip(_ count: Int) -> Bool {
            guard count <= rest.count else { return false }
            rest = rest.dropFirst(count)
            return true
        }

        private mutating func varint() -> UInt64? {
            var value: UInt64 = 0
            for shift in stride(from: UInt64(0), to: 70, by: 7) {
                guard let byte = rest.popFirst() else { return nil }
                value |= UInt64(byte & 0x7F) << shift
                if byte < 0x80 { return value }
            }
            return nil
        }
    }
}
