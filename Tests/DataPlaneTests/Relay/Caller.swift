import HTTP2
import NIOCore
import NIOPosix
import Policy

/// What a caller got on one stream.
struct Answer: Sendable {
    var interim: [[String: String]] = []
    var head: [String: String] = [:]
    var body: [UInt8] = []
    var trailers: [String: String] = [:]
    /// The code of the proxy's RST_STREAM.
    var reset: ErrorCode?
    /// Whether the response came to its end.
    var isComplete = false
    /// The connection's code for a stream that ended without either.
    var closeCode: ErrorCode?

    var grpcStatus: String? { trailers["grpc-status"] ?? head["grpc-status"] }
    var grpcMessage: String { trailers["grpc-message"] ?? head["grpc-message"] ?? "" }
    var reason: String? { trailers["x-ekiden-reason"] ?? head["x-ekiden-reason"] }
}

/// A caller's connection to the mesh port.
struct Caller: Sendable {
    let channel: any Channel
    fileprivate let connection: NIOLoopBound<Connection>

    static let path = "/echo.Echo/Say"
    static let grpc: Fields = [("content-type", "application/grpc"), ("te", "trailers")]

    static func connect(to port: Int, settings: SessionSettings = SessionSettings()) async throws -> Caller {
        try await connect(to: port, settings: settings) { caller in caller }
    }

    /// Connects with a stream whose head is among the first bytes: the proxy hears of both at once, however busy the
    /// machine is.
    static func connect(
        to port: Int, opening body: [UInt8], finish: Bool = false, settings: SessionSettings = SessionSettings()
    ) async throws -> (Caller, Call) {
        try await connect(to: port, settings: settings) { caller in
            let call = try caller.connection.value.open(
                fields(path, "POST", grpc), body: body, finish: finish, on: caller.connection)
            return (caller, call)
        }
    }

    private static func connect<Result: Sendable>(
        to port: Int, settings: SessionSettings = SessionSettings(),
        _ body: @escaping @Sendable (Caller) throws -> Result
    ) async throws -> Result {
        try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    let connection = Connection()
                    connection.start(.client, settings)
                    try channel.pipeline.syncOperations.addHandler(connection)
                    let bound = NIOLoopBound(connection, eventLoop: channel.eventLoop)
                    return try body(Caller(channel: channel, connection: bound))
                }
            }
    }

    private static func fields(_ path: String, _ method: String, _ others: Fields) -> Fields {
        [(":method", method), (":scheme", "http"), (":path", path), (":authority", "echo.local")] + others
    }

    /// Opens a stream.
    /// - Parameter body: what is sent at once; nil for a request without a body.
    func open(
        _ path: String = Caller.path, method: String = "POST", fields: Fields = Caller.grpc,
        body: [UInt8]? = [], finish: Bool = false
    ) async throws -> Call {
        let connection = self.connection
        return try await channel.eventLoop.submit {
            try connection.value.open(
                Self.fields(path, method, fields), body: body, finish: finish, on: connection)
        }.get()
    }

    /// A call from its first to its last byte.
    func call(
        _ path: String = Caller.path, method: String = "POST", fields: Fields = Caller.grpc,
        body: [UInt8]? = [0, 0, 0, 0, 0]
    ) async throws -> Answer {
        try await open(path, method: method, fields: fields, body: body, finish: true).answer()
    }

    /// The last stream ids of the GOAWAY frames that came.
    func goAways() async throws -> [Int32] {
        let connection = self.connection
        return try await channel.eventLoop.submit { connection.value.goAways }.get()
    }

    func close() async {
        try? await channel.close()
    }

    fileprivate final class Connection: LoopbackSession {
        final class State {
            var answer = Answer()
            let body = BodyQueue()
            let stream: HTTP2.Stream
            let head: EventLoopPromise<Void>
            let done: EventLoopPromise<Answer>
            var waiting: [(count: Int, promise: EventLoopPromise<Void>)] = []

            init(stream: HTTP2.Stream, loop: any EventLoop) {
                self.stream = stream
                head = loop.makePromise()
                done = loop.makePromise()
            }
        }

        var calls: [Int32: State] = [:]
        var goAways: [Int32] = []

        struct NoStream: Error {}

        func open(
            _ fields: Fields, body: [UInt8]?, finish: Bool, on bound: NIOLoopBound<Connection>
        ) throws -> Call {
            let queue = BodyQueue()
            guard let session, let context,
                let stream = session.submitRequest(.make(fields), body: body == nil ? nil : queue, owner: nil)
            else { throw NoStream() }
            let state = State(stream: stream, loop: context.eventLoop)
            calls[stream.id] = state
            if let body { queue.append(ByteBuffer(bytes: body)) }
            if finish { queue.finish() }
            flush()
            return Call(
                id: stream.id, connection: bound, body: NIOLoopBound(queue, eventLoop: context.eventLoop),
                loop: context.eventLoop, headFuture: state.head.futureResult, answerFuture: state.done.futureResult)
        }

        override func session(
            _ session: Session, didReceive headers: HeaderBlock, kind: HeaderKind, on stream: HTTP2.Stream,
            endStream: Bool
        ) {
            defer { blocks.give(headers) }
            guard let call = calls[stream.id] else { return }
            switch kind {
            case .informational: call.answer.interim.append(headers.dictionary)
            case .head:
                call.answer.head = headers.dictionary
                call.head.succeed()
            case .trailers: call.answer.trailers = headers.dictionary
            }
            if endStream { call.answer.isComplete = true }
        }

        override func session(_ session: Session, didReceiveData count: Int, on stream: HTTP2.Stream) {
            let bytes = takeData(session, count, stream)
            guard let call = calls[stream.id] else { return }
            call.answer.body += bytes
            for waiter in call.waiting where waiter.count <= call.answer.body.count { waiter.promise.succeed() }
            call.waiting.removeAll { $0.count <= call.answer.body.count }
        }

        override func session(_ session: Session, didReceiveEndOf stream: HTTP2.Stream) {
            calls[stream.id]?.answer.isComplete = true
        }

        override func session(_ session: Session, didReceiveReset code: ErrorCode, on stream: HTTP2.Stream) {
            calls[stream.id]?.answer.reset = code
        }

        override func session(_ session: Session, didClose stream: HTTP2.Stream, code: ErrorCode) {
            guard let call = calls.removeValue(forKey: stream.id) else { return }
            call.answer.closeCode = code
            call.head.succeed()
            for waiter in call.waiting { waiter.promise.succeed() }
            call.done.succeed(call.answer)
        }

        override func session(
            _ session: Session, didReceiveGoAway lastStreamID: Int32, code: ErrorCode, debug: String
        ) {
            goAways.append(lastStreamID)
        }
    }
}

/// One stream of a ``Caller``.
struct Call: Sendable {
    let id: Int32
    fileprivate let connection: NIOLoopBound<Caller.Connection>
    fileprivate let body: NIOLoopBound<BodyQueue>
    fileprivate let loop: any EventLoop
    fileprivate let headFuture: EventLoopFuture<Void>
    fileprivate let answerFuture: EventLoopFuture<Answer>

    func send(_ bytes: [UInt8], finish: Bool = false) async throws {
        try await loop.submit {
            body.value.append(ByteBuffer(bytes: bytes))
            if finish { body.value.finish() }
            if let state = connection.value.calls[id] { connection.value.session?.resumeBody(state.stream) }
            connection.value.flush()
        }.get()
    }

    func cancel(_ code: ErrorCode = .cancel) async throws {
        try await loop.submit {
            if let state = connection.value.calls[id] { connection.value.session?.reset(state.stream, code) }
            connection.value.flush()
        }.get()
    }

    /// Waits for the response's head, or for the stream's end.
    func head() async throws {
        try await headFuture.get()
    }

    /// Waits until so many bytes of the response have come, or for the stream's end.
    func received(_ count: Int) async throws {
        try await loop.flatSubmit { () -> EventLoopFuture<Void> in
            let promise = loop.makePromise(of: Void.self)
            if let state = connection.value.calls[id], state.answer.body.count < count {
                state.waiting.append((count, promise))
            } else {
                promise.succeed()
            }
            return promise.futureResult
        }.get()
    }

    /// Waits for the stream's end.
    func answer() async throws -> Answer {
        try await answerFuture.get()
    }
}
