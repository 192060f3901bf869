import FoundationEssentials
import HTTP2
import NIOCore
import Policy
import SwiftProtobuf

/// One call at an echo task: what came, what is still to be answered. Confined to its connection's loop.
final class EchoCall {
    private enum Method: String {
        case unary = "/ekiden.echo.v1.Echo/Unary"
        case clientStream = "/ekiden.echo.v1.Echo/ClientStream"
        case serverStream = "/ekiden.echo.v1.Echo/ServerStream"
        case bidi = "/ekiden.echo.v1.Echo/Bidi"
        case healthCheck = "/grpc.health.v1.Health/Check"
        case healthWatch = "/grpc.health.v1.Health/Watch"
    }

    /// What is to be sent, in order.
    private enum Step {
        case respond(Ekiden_Echo_V1_EchoResponse, after: Duration)
        case message([UInt8])
        case end(GRPCStatus, String)
    }

    private unowned let connection: EchoConnection
    private let stream: HTTP2.Stream
    private let path: String
    private let method: Method?
    private let metadata: [Ekiden_Echo_V1_Metadata]
    private let timeoutMilliseconds: Int64?
    private let output = BodyQueue()
    private var reader = GRPCMessageReader()
    private var first: Ekiden_Echo_V1_EchoRequest?
    private var messagesReceived: Int64 = 0
    private var bytesReceived: Int64 = 0
    private var responsesMade: Int64 = 0
    private var steps: [Step] = []
    private var isWaiting = false
    private var headSent = false
    private var isEnded = false
    /// Stream credit held back while the caller does not read.
    private var owedCredit = 0

    private static let outputMax = 1024 * 1024
    private static let responseSizeMax = 64 * 1024 * 1024
    private static let responseCountMax = 1_000_000

    init(connection: EchoConnection, stream: HTTP2.Stream, request: HeaderBlock) {
        self.connection = connection
        self.stream = stream
        path = request.value(.path).map { String(decoding: $0, as: UTF8.self) } ?? ""
        method = Method(rawValue: path)
        metadata = EchoMetadata.read(request)
        timeoutMilliseconds = request.value(.grpcTimeout).flatMap { GRPCTimeout.nanoseconds($0.span) }
            .map { $0 / 1_000_000 }
    }

    // MARK: From the caller

    func start() {
        guard method != nil else {
            return end(.unimplemented, "no method \(path) here")
        }
        let behaviour = connection.behaviour
        if behaviour.errorRate > 0, Double.random(in: 0..<1) < behaviour.errorRate {
            end(behaviour.errorStatus, "injected error of task \(behaviour.name)")
        }
    }

    func receive(_ count: Int, from session: Session) {
        let bytes = BodyQueue()
        session.takeData(into: bytes)
        if output.pending < Self.outputMax {
            session.creditStream(stream, count)
        } else {
            owedCredit += count
        }
        if isEnded { return }
        reader.append(bytes.readAll())
        do throws(GRPCMessageReader.Problem) {
            while let message = try reader.next() { receive(message) }
        } catch {
            switch error {
            case .compressed: end(.unimplemented, "compressed messages are not supported")
            case .tooLong(let length): end(.resourceExhausted, "message of \(length) bytes is too long")
            }
        }
    }

    private func receive(_ message: [UInt8]) {
        switch method {
        case .healthCheck, .healthWatch:
            var response = Grpc_Health_V1_HealthCheckResponse()
            response.status = .serving
            if let bytes: [UInt8] = try? response.serializedBytes() { enqueue(.message(bytes)) }
            if method == .healthCheck { end(.ok, "") }
        case .unary, .clientStream, .serverStream, .bidi:
            guard let request = try? Ekiden_Echo_V1_EchoRequest(serializedBytes: message) else {
                return end(.invalidArgument, "the message is no EchoRequest")
            }
            messagesReceived += 1
            bytesReceived += Int64(request.payload.count)
            if first == nil { first = request }
            if method == .bidi { respond(to: request, count: responseCount(request)) }
        case nil:
            break
        }
    }

    func receiveEnd() {
        if isEnded { return }
        guard reader.isEmpty else { return end(.internal, "the request ends within a message") }
        // Stays open until the caller or the task leaves.
        if method == .healthWatch, headSent { return }
        guard let first else {
            if method == .bidi || method == .clientStream {
                if method == .clientStream { respond(to: Ekiden_Echo_V1_EchoRequest(), count: 1) }
                return end(.ok, "")
            }
            return end(.internal, "the request has no message")
        }
        switch method {
        case .unary, .clientStream:
            if first.statusCode == 0 { respond(to: first, count: 1) } else { endAsAsked(first) }
        case .serverStream:
            respond(to: first, count: responseCount(first))
        case .bidi, .healthCheck, .healthWatch, nil:
            break
        }
        end(.ok, "")
    }

    private func responseCount(_ request: Ekiden_Echo_V1_EchoRequest) -> Int {
        request.hasResponseCount ? min(max(Int(request.responseCount), 0), Self.responseCountMax) : 1
    }

    // MARK: Answers

    private func respond(to request: Ekiden_Echo_V1_EchoRequest, count: Int) {
        let delay = connection.behaviour.delay + .milliseconds(Int(max(request.delayMs, 0)))
        for _ in 0..<count {
            var response = Ekiden_Echo_V1_EchoResponse()
            response.name = connection.behaviour.name
            response.peer = connection.peer
            response.connection = Int64(connection.number)
            if responsesMade == 0 { response.metadata = metadata }
            response.payload = payload(for: request)
            response.index = responsesMade
            if let timeoutMilliseconds { response.timeRemainingMs = timeoutMilliseconds }
            response.messagesReceived = messagesReceived
            response.bytesReceived = bytesReceived
            responsesMade += 1
            enqueue(.respond(response, after: delay))
        }
        if method == .serverStream || method == .bidi, request.statusCode != 0 { endAsAsked(request) }
    }

    private func payload(for request: Ekiden_Echo_V1_EchoRequest) -> Data {
        let wished = request.responseSize > 0 ? Int(request.responseSize) : connection.behaviour.messageSize
        guard let wished else { return request.payload }
        return Data(count: min(wished, Self.responseSizeMax))
    }

    private func endAsAsked(_ request: Ekiden_Echo_V1_EchoRequest) {
        if let status = GRPCStatus(rawValue: Int(request.statusCode)), status != .ok {
            end(status, request.statusMessage)
        } else {
            end(.invalidArgument, "status_code \(request.statusCode) is no gRPC error")
        }
    }

    private func end(_ status: GRPCStatus, _ message: String) {
        if isEnded { return }
        isEnded = true
        enqueue(.end(status, message))
    }

    private func enqueue(_ step: Step) {
        steps.append(step)
        advance()
    }

    /// Takes the steps that are due, as far as the caller reads.
    private func advance() {
        guard !isWaiting, stream.isOpen else { return }
        var taken = 0
        defer { steps.removeFirst(taken) }
        while taken < steps.count, output.pending < Self.outputMax {
            switch steps[taken] {
            case .respond(let response, let delay) where delay > .zero:
                steps[taken] = .respond(response, after: .zero)
                isWaiting = true
                connection.run(after: delay) { [self] in
                    isWaiting = false
                    advance()
                }
                return
            case .respond(let response, _):
                if let bytes: [UInt8] = try? response.serializedBytes() { send(bytes) }
            case .message(let bytes):
                send(bytes)
            case .end(let status, let message):
                sendEnd(status, message)
            }
            taken += 1
        }
    }

    private func send(_ message: [UInt8]) {
        sendHeadIfNeeded()
        output.append(GRPCMessageReader.frame(message))
        connection.resumeBody(stream)
    }

    private func sendHeadIfNeeded() {
        if headSent { return }
        headSent = true
        let headers = HeaderBlock()
        headers.append(":status", literal: "200")
        headers.append("content-type", literal: "application/grpc")
        EchoMetadata.write(first?.initialMetadata ?? [], to: headers)
        connection.submitResponse(headers, body: output, on: stream)
    }

    private func sendEnd(_ status: GRPCStatus, _ message: String) {
        let trailers = HeaderBlock()
        if let first, !first.initialMetadata.isEmpty { sendHeadIfNeeded() }
        if !headSent {
            // Trailers-only.
            trailers.append(":status", literal: "200")
            trailers.append("content-type", literal: "application/grpc")
        }
        trailers.append("grpc-status", String(status.rawValue).utf8)
        if !message.isEmpty { trailers.append("grpc-message", PercentEncoding.encode(message, limit: 8_192)) }
        EchoMetadata.write(first?.trailingMetadata ?? [], to: trailers)
        if headSent {
            output.finish(trailers: trailers)
            connection.resumeBody(stream)
        } else {
            headSent = true
            connection.submitResponse(trailers, body: nil, on: stream)
        }
    }

    /// Response bytes left: there may be room for more.
    func didSend(_ session: Session) {
        if owedCredit > 0, output.pending < Self.outputMax {
            session.creditStream(stream, owedCredit)
            owedCredit = 0
        }
        if !steps.isEmpty, output.pending < Self.outputMax { connection.nextTurn { [self] in advance() } }
    }
}
