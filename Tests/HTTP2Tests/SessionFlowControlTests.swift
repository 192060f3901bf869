import NIOCore
import Testing

@testable import HTTP2

@Suite("Flow control of a session")
struct SessionFlowControlTests {
    private static func settings(stream: Int, connection: Int) -> SessionSettings {
        var settings = SessionSettings()
        settings.streamWindowBytes = stream
        settings.connectionWindowBytes = connection
        return settings
    }

    @Test("a sender stops at the stream window and goes on as far as credit is given")
    func streamWindow() throws {
        let pair = try SessionPair(server: Self.settings(stream: 10_000, connection: 1_000_000))
        pair.server.recorder.creditsStreams = false
        _ = pair.client.request(body: .make(pattern(50_000)))
        try pair.settle()
        #expect(pair.server.recorder.body(on: 1).count == 10_000)
        let stream = try #require(pair.server.recorder.streams[1])
        for round in 1...4 {
            pair.server.session.creditStream(stream, 10_000)
            try pair.settle()
            #expect(pair.server.recorder.body(on: 1).count == 10_000 * (round + 1))
        }
        #expect(pair.server.recorder.body(on: 1) == pattern(50_000))
        #expect(stream.remoteEnded)
    }

    @Test("a stream without credit holds up no other")
    func slowStream() throws {
        let pair = try SessionPair(server: Self.settings(stream: 65_535, connection: 100_000))
        pair.server.recorder.creditsStreams = false
        _ = pair.client.request(body: .make(pattern(200_000)))
        try pair.settle()
        #expect(pair.server.recorder.body(on: 1).count == 65_535)
        pair.server.recorder.creditsStreams = true
        _ = pair.client.request(body: .make(pattern(300_000)))
        try pair.settle()
        #expect(pair.server.recorder.body(on: 3) == pattern(300_000))
        #expect(pair.server.recorder.body(on: 1).count == 65_535)
    }

    @Test("without connection credit everything stops at the connection window")
    func connectionWindow() throws {
        let pair = try SessionPair(server: Self.settings(stream: 65_535, connection: 70_000))
        pair.server.recorder.creditsConnection = false
        for _ in 0..<3 { _ = pair.client.request(body: .make(pattern(60_000))) }
        try pair.settle()
        let received = [1, 3, 5].map { pair.server.recorder.body(on: $0).count }.reduce(0, +)
        #expect(received == 70_000)
        pair.server.recorder.creditsConnection = true
        pair.server.session.creditConnection(received)
        try pair.settle()
        for id: Int32 in [1, 3, 5] { #expect(pair.server.recorder.body(on: id) == pattern(60_000)) }
    }

    @Test("a response obeys the caller's windows")
    func responseDirection() throws {
        let pair = try SessionPair(client: Self.settings(stream: 5_000, connection: 65_535))
        pair.client.recorder.creditsStreams = false
        let stream = try #require(pair.client.request())
        try pair.settle()
        let body = BodyQueue.make(pattern(12_000), trailers: [("grpc-status", "0")])
        pair.server.respond(to: 1, body: body)
        try pair.settle()
        #expect(pair.client.recorder.body(on: 1).count == 5_000)
        #expect(body.pending == 7_000)
        pair.client.session.creditStream(stream, 5_000)
        try pair.settle()
        #expect(pair.client.recorder.body(on: 1).count == 10_000)
        pair.client.session.creditStream(stream, 5_000)
        try pair.settle()
        #expect(pair.client.recorder.body(on: 1) == pattern(12_000))
        #expect(pair.client.recorder.closeCount(of: 1) == 1)
    }

    @Test("a larger window of one stream lets its sender go on")
    func grownWindow() throws {
        let pair = try SessionPair(server: Self.settings(stream: 1_000, connection: 65_535))
        pair.server.recorder.creditsStreams = false
        _ = pair.client.request(body: .make(pattern(9_000)))
        try pair.settle()
        #expect(pair.server.recorder.body(on: 1).count == 1_000)
        pair.server.session.growWindow(of: try #require(pair.server.recorder.streams[1]), to: 8_000)
        try pair.settle()
        #expect(pair.server.recorder.body(on: 1).count == 8_000)
    }

    @Test("DATA on a stream that we reset gives the connection's credit back, so that nothing stalls")
    func creditAfterReset() throws {
        let pair = try SessionPair(server: Self.settings(stream: 65_535, connection: 65_535))
        pair.server.recorder.creditsStreams = false
        for call in 0..<20 {
            // 60 000 bytes are on their way when the server resets.
            _ = pair.client.request(body: .make(pattern(60_000)))
            let bytes = pair.client.output()
            let head = WireFrame.read(bytes).first { $0.type == WireFrame.headers }
            try pair.server.receive(try #require(head).bytes)
            let id = Int32(2 * call + 1)
            pair.server.session.reset(try #require(pair.server.recorder.streams[id]), .cancel)
            let reset = pair.server.output()
            try pair.server.receive(Array(bytes.dropFirst(try #require(head).bytes.count)))
            try pair.client.receive(reset)
            try pair.settle()
        }
        pair.server.recorder.creditsStreams = true
        _ = pair.client.request(body: .make(pattern(100_000)))
        try pair.settle()
        #expect(pair.server.recorder.body(on: 41) == pattern(100_000))
    }
}
