import HTTP2
import NIOCore
import NIOPosix
import Policy
import Synchronization
import TestSupport

/// A task of a cluster that does what its script says.
final class ScriptedTask: Sendable {
    /// What a task saw of one stream.
    struct Request: Sendable {
        /// Counts the task's connections from 1.
        var connection: Int
        var streamID: Int32
        var fields: [String: String]
        var body: [UInt8] = []
        var trailers: [String: String]?
        var isComplete = false
        var reset: ErrorCode?

        var path: String { fields[":path"] ?? "" }
    }

    enum Moment {
        /// The request's head is here; its end may be, too.
        case head
        case data
        /// The request is complete.
        case end
    }

    /// Runs on the task's loop.
    typealias Script = @Sendable (Incoming, Moment) -> Void

    /// Answers with what it was sent.
    static let echo: Script = { request, moment in
        if moment == .end {
            request.respond(body: request.body, trailers: [("grpc-status", "0")])
        }
    }

    private struct State {
        var requests: [Request] = []
        var connections: [any Channel] = []
    }

    let endpoint: Endpoint
    private let channel: any Channel
    private let state: Box

    private final class Box: Sendable {
        let mutex = Mutex(State())
    }

    private init(channel: any Channel, state: Box, endpoint: Endpoint) {
        self.channel = channel
        self.state = state
        self.endpoint = endpoint
    }

    /// - Parameter port: zero for one that is free.
    static func start(
        settings: SessionSettings = SessionSettings(), port: Int = 0, _ script: @escaping Script = echo
    ) async throws -> ScriptedTask {
        let state = Box()
        return try await start(state, port: port) { channel in
            let number = state.mutex.withLock {
                $0.connections.append(channel)
                return $0.connections.count
            }
            let connection = Connection(
                number: number, log: { change in state.mutex.withLock { change(&$0.requests) } }, script: script)
            connection.start(.server, settings)
            return connection
        }
    }

    /// A task that takes connections and says nothing.
    /// - Parameter reads: whether it reads what it is sent.
    static func startMute(reads: Bool = true) async throws -> ScriptedTask {
        let state = Box()
        return try await start(state, reads: reads) { channel in
            state.mutex.withLock { $0.connections.append(channel) }
            return nil
        }
    }

    private static func start(
        _ state: Box, port: Int = 0, reads: Bool = true,
        _ handler: @escaping @Sendable (any Channel) -> Connection?
    ) async throws -> ScriptedTask {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: reads)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let handler = handler(channel) { try channel.pipeline.syncOperations.addHandler(handler) }
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
        return ScriptedTask(
            channel: channel, state: state,
            endpoint: Endpoint(address: EndpointAddress(host: "127.0.0.1", port: channel.localAddress?.port ?? 0)))
    }

    var requests: [Request] { state.mutex.withLock { $0.requests } }
    var connectionCount: Int { state.mutex.withLock { $0.connections.count } }

    /// Has the kernel drop every packet to the task (true), as if its host had lost power, or none again. New
    /// connections get no answer either.
    func setDark(_ isDark: Bool) async throws {
        // Acknowledgements of what the task sent last are delayed by up to 40 ms. Dropped they would have it send
        // again, which a lost host does not.
        try await Task.sleep(for: .milliseconds(isDark ? 200 : 0))
        for channel in state.mutex.withLock({ $0.connections }) + [channel] where channel.isActive {
            try await PacketFilter.set(isDark, on: channel)
        }
    }

    /// Closes the listening socket and lets the connections be.
    func stopListening() async {
        try? await channel.close()
    }

    /// Closes the listening socket and all connections.
    func stop() async {
        try? await channel.close()
        for connection in state.mutex.withLock({ $0.connections }) { try? await connection.close() }
    }

    /// One stream as its script sees it. Confined to the task's loop.
    final class Incoming {
        fileprivate unowned let connection: Connection
        fileprivate let stream: HTTP2.Stream
        fileprivate let index: Int
        fileprivate(set) var body: [UInt8] = []
        let path: String
        private let response = BodyQueue()

        fileprivate init(connection: Connection, stream: HTTP2.Stream, index: Int, path: String) {
            self.connection = connection
            self.stream = stream
            self.index = index
            self.path = path
        }

        static let head: Fields = [(":status", "200"), ("content-type", "application/grpc")]

        /// A whole response.
        func respond(_ head: Fields = Incoming.head, body: [UInt8], trailers: Fields) {
            sendHead(head)
            send(body)
            end(trailers)
        }

        func sendHead(_ head: Fields = Incoming.head) {
            connection.session?.submitResponse(.make(head), body: response, on: stream)
            connection.flush()
        }

        func sendInterim(_ head: Fields) {
            connection.session?.submitInformational(.make(head), on: stream)
            connection.flush()
        }

        func sendTrailersOnly(_ head: Fields) {
            connection.session?.submitResponse(.make(head), body: nil, on: stream)
            connection.flush()
        }

        func send(_ bytes: [UInt8]) {
            response.append(ByteBuffer(bytes: bytes))
            connection.session?.resumeBody(stream)
            connection.flush()
        }

        func end(_ trailers: Fields?) {
            response.finish(trailers: trailers.map { .make($0) })
            connection.session?.resumeBody(stream)
            connection.flush()
        }

        func reset(_ code: ErrorCode) {
            connection.session?.reset(stream, code)
            connection.flush()
        }

        /// GOAWAY with a last stream of the script's choice, by its own hand.
        func goAway(last: Int32, code: UInt8 = 0) {
            let id = UInt32(bitPattern: last)
            connection.writeRaw(
                [0, 0, 8, 7, 0, 0, 0, 0, 0]
                    + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: id >> $0) } + [0, 0, 0, code])
        }

        func writeRaw(_ bytes: [UInt8]) {
            connection.writeRaw(bytes)
        }

        /// Goes on after a while, if the connection is still there.
        func later(_ time: TimeAmount, _ body: @escaping @Sendable (Incoming) -> Void) {
            guard let loop = connection.context?.eventLoop else { return }
            let bound = NIOLoopBound(self, eventLoop: loop)
            let connection = NIOLoopBound(self.connection, eventLoop: loop)
            loop.scheduleTask(in: time) {
                if connection.value.session != nil { body(bound.value) }
            }
        }

        func closeConnection() {
            connection.context?.close(promise: nil)
        }

        var streamID: Int32 { stream.id }
    }

    fileprivate final class Connection: LoopbackSession {
        private let number: Int
        private let log: ((inout [Request]) -> Void) -> Void
        private let script: Script
        private var incoming: [Int32: Incoming] = [:]

        init(number: Int, log: @escaping ((inout [Request]) -> Void) -> Void, script: @escaping Script) {
            self.number = number
            self.log = log
            self.script = script
        }

        override func session(
            _ session: Session, didReceive headers: HeaderBlock, kind: HeaderKind, on stream: HTTP2.Stream,
            endStream: Bool
        ) {
            defer { blocks.give(headers) }
            let fields = headers.dictionary
            if let request = incoming[stream.id] {
                log { $0[request.index].trailers = fields }
                finish(request)
                return
            }
            var index = 0
            log {
                index = $0.count
                $0.append(Request(connection: number, streamID: stream.id, fields: fields))
            }
            let request = Incoming(connection: self, stream: stream, index: index, path: fields[":path"] ?? "")
            incoming[stream.id] = request
            run(request, .head)
            if endStream { finish(request) }
        }

        override func session(_ session: Session, didReceiveData count: Int, on stream: HTTP2.Stream) {
            let bytes = takeData(session, count, stream)
            guard let request = incoming[stream.id] else { return }
            request.body += bytes
            log { $0[request.index].body += bytes }
            run(request, .data)
        }

        override func session(_ session: Session, didReceiveEndOf stream: HTTP2.Stream) {
            if let request = incoming[stream.id] { finish(request) }
        }

        override func session(_ session: Session, didReceiveReset code: ErrorCode, on stream: HTTP2.Stream) {
            if let request = incoming[stream.id] { log { $0[request.index].reset = code } }
        }

        override func session(_ session: Session, didClose stream: HTTP2.Stream, code: ErrorCode) {
            incoming[stream.id] = nil
        }

        private func finish(_ request: Incoming) {
            log { $0[request.index].isComplete = true }
            run(request, .end)
        }

        /// Runs the script after the session's callback: it may flush.
        private func run(_ request: Incoming, _ moment: Moment) {
            guard let context else { return }
            let script = self.script
            let bound = NIOLoopBound(request, eventLoop: context.eventLoop)
            // The connection outlives its requests' turns.
            let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
            context.eventLoop.execute {
                if connection.value.session != nil { script(bound.value, moment) }
            }
        }
    }
}
