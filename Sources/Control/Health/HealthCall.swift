import HTTP2
import NIOCore
import Policy

/// One request of a check on an HTTP/2 connection, and what came of it. Confined to the loop of the checks.
final class HealthCall {
    /// What is asked.
    enum Request {
        /// A method of `grpc.health.v1.Health` with the name of a service; an empty one asks for the task as a whole.
        case check(service: String, timeout: Duration)
        case watch(service: String)
        case get(path: String)
    }

    enum Ending {
        /// The task has ended its direction.
        case complete
        case reset(ErrorCode)
        /// The connection went, or was never made; and what that says about the endpoint.
        case lost(HealthResult)
    }

    enum Event {
        /// The final head is here.
        case head
        /// Bytes of the body came.
        case data
        /// The last event.
        case ended(Ending)
    }

    let request: Request
    private(set) var httpStatus: Int?
    /// -1 for one that is no number.
    private(set) var grpcStatus: Int?
    /// Whether the answer says that it is one of gRPC.
    private(set) var isGRPC = false
    private(set) var body: [UInt8] = []
    private var listener: ((HealthCall, Event) -> Void)?

    init(_ request: Request, listener: @escaping (HealthCall, Event) -> Void) {
        self.request = request
        self.listener = listener
    }

    /// From here on nothing is told.
    func forget() {
        listener = nil
    }

    // MARK: Question

    /// Writes the request's head.
    func writeHead(to headers: HeaderBlock, authority: String) {
        switch request {
        case .check, .watch: headers.append(":method", literal: "POST")
        case .get: headers.append(":method", literal: "GET")
        }
        headers.append(":scheme", literal: "http")
        switch request {
        case .check: headers.append(":path", literal: "/grpc.health.v1.Health/Check")
        case .watch: headers.append(":path", literal: "/grpc.health.v1.Health/Watch")
        case .get(let path): headers.append(":path", path.utf8)
        }
        headers.append(":authority", authority.utf8)
        if message != nil {
            headers.append("te", literal: "trailers")
            headers.append("content-type", literal: "application/grpc")
        }
        headers.append("user-agent", literal: "ekiden")
        if case .check(_, let timeout) = request {
            // Eight digits at most, as gRPC has it.
            headers.append("grpc-timeout", "\(min(max(timeout.nanoseconds / 1_000_000, 1), 99_999_999))m".utf8)
        }
    }

    /// The request's body; nil where it has none.
    var message: [UInt8]? {
        switch request {
        case .check(let service, _), .watch(let service): HealthMessage.request(service: service)
        case .get: nil
        }
    }

    // MARK: Answer

    /// A head or trailers came.
    func receive(_ headers: HeaderBlock) {
        let isHead = headers.status != nil
        if let status = headers.status { httpStatus = status }
        if let type = headers.value(.contentType) { isGRPC = type.starts(with: "application/grpc".utf8) }
        if let status = headers.value(.grpcStatus) { grpcStatus = Int(String(decoding: status, as: UTF8.self)) ?? -1 }
        if isHead { listener?(self, .head) }
    }

    func receive(_ bytes: ByteBuffer) {
        // A page of a web server may have any length, and nobody reads it. One byte more than the most of a message,
        // so that too many are seen as too many.
        body += bytes.readableBytesView.prefix(max(HealthMessage.answerMax + 1 - body.count, 0))
        listener?(self, .data)
    }

    func end(_ ending: Ending) {
        let listener = listener
        self.listener = nil
        listener?(self, .ended(ending))
    }

    /// Takes the first message off ``body``.
    /// - Returns: nil while it is not complete.
    /// - Throws: ``UnreadableAnswer``.
    func takeStatus() throws(UnreadableAnswer) -> ServingStatus? {
        guard let count = HealthMessage.messageBytes(body) else { return nil }
        guard count <= HealthMessage.answerMax else { throw UnreadableAnswer() }
        guard body.count >= count else { return nil }
        guard let status = HealthMessage.status(in: body.prefix(count)) else { throw UnreadableAnswer() }
        body.removeFirst(count)
        return status
    }

    /// What the answer to a `Check` means. A task that does not know the service of health lives: it has said so.
    func result(_ ending: Ending) -> HealthResult {
        switch ending {
        case .lost(let result): return result
        case .reset(let code): return .failed("stream reset: \(code)")
        case .complete: break
        }
        if let grpcStatus, grpcStatus != 0 {
            let status = GRPCStatus(rawValue: grpcStatus)
            return status == .unimplemented ? .passed : .failed(status?.name ?? "unknown gRPC status")
        }
        guard let httpStatus, httpStatus == 200 else { return .failed("HTTP status \(httpStatus ?? 0)") }
        guard grpcStatus == 0 else { return .failed("no gRPC status") }
        guard let status = HealthMessage.status(in: body) else { return .failed("an answer that cannot be read") }
        return HealthResult(status)
    }
}

/// The bytes are no message of the health service.
struct UnreadableAnswer: Error {}

extension HealthResult {
    /// What a task says of itself.
    init(_ status: ServingStatus) {
        self = status == .serving ? .passed : .failed(status.description)
    }
}

@available(*, unavailable)
extension HealthCall: Sendable {}
