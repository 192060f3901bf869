import CNghttp2
import NIOCore
import Testing

@testable import HTTP2

@Suite("A request and its response between two sessions")
struct SessionExchangeTests {
    @Test("a unary call carries head, body and trailers both ways")
    func unary() throws {
        let pair = try SessionPair()
        _ = pair.client.request(body: .make(pattern(105)))
        try pair.settle()
        #expect(
            pair.server.recorder.events(on: 1) == [
                .headers(1, .head, lines(Wire.request), endStream: false), .data(1, pattern(105)), .end(1),
            ])

        let trailers: Fields = [("grpc-status", "0"), ("x-bin", "AAECAw")]
        pair.server.respond(to: 1, body: .make(pattern(9), trailers: trailers))
        try pair.settle()
        #expect(
            pair.client.recorder.events(on: 1) == [
                .headers(1, .head, lines(Wire.responseHead), endStream: false), .data(1, pattern(9)),
                .headers(1, .trailers, lines(trailers), endStream: true), .closed(1, .noError),
            ])
        #expect(pair.server.recorder.events(on: 1).last == .closed(1, .noError))
        #expect(pair.client.session.streamCount == 0)
        #expect(pair.server.session.streamCount == 0)
    }

    @Test("a body that comes in many pieces arrives as it was sent, in as many DATA frames")
    func manyDataFrames() throws {
        let pair = try SessionPair()
        let body = BodyQueue()
        let stream = try #require(pair.client.request(body: body))
        try pair.settle()
        for piece in 0..<100 {
            body.append(ByteBuffer(bytes: [UInt8](repeating: UInt8(piece), count: piece + 1)))
            pair.client.session.resumeBody(stream)
            try pair.settle()
        }
        #expect(!stream.localEnded)
        body.finish()
        pair.client.session.resumeBody(stream)
        try pair.settle()
        #expect(
            pair.server.recorder.body(on: 1)
                == (0..<100).flatMap { [UInt8](repeating: UInt8($0), count: $0 + 1) })
        #expect(pair.server.recorder.events.last == .end(1))
        #expect(pair.client.recorder.dataSent[1] == 5_050)
    }

    @Test("a bulk body is cut to frames and put together again", arguments: [16_383, 16_384, 16_385, 1_000_000])
    func bulk(size: Int) throws {
        let pair = try SessionPair()
        _ = pair.client.request(body: .make(pattern(size)))
        try pair.settle()
        #expect(pair.server.recorder.body(on: 1) == pattern(size))
        #expect(pair.server.recorder.events.last == .end(1))
    }

    @Test("an empty DATA frame brings no bytes and ends nothing; with END_STREAM it ends")
    func emptyData() throws {
        let server = try Peer.startedServer()
        try server.receive(Wire.headers(on: 1) + Wire.data(on: 1))
        #expect(server.recorder.events(on: 1).count == 1)
        try server.receive(Wire.data(on: 1, [1]) + Wire.data(on: 1, endStream: true))
        #expect(server.recorder.events(on: 1).suffix(2) == [.data(1, [1]), .end(1)])
    }

    @Test("padding is no part of the body")
    func padding() throws {
        let server = try Peer.startedServer()
        try server.receive(Wire.headers(on: 1) + Wire.data(on: 1, [1, 2], endStream: true, padding: 200))
        #expect(server.recorder.events(on: 1).suffix(2) == [.data(1, [1, 2]), .end(1)])
    }

    @Test("a caller that has ended its direction still hears the response stream")
    func halfClose() throws {
        let pair = try SessionPair()
        let request = try #require(pair.client.request())
        try pair.settle()
        #expect(request.localEnded)
        #expect(try #require(pair.server.recorder.streams[1]).remoteEnded)
        let body = BodyQueue()
        pair.server.respond(to: 1, body: body)
        try pair.settle()
        for piece in UInt8(1)...3 {
            body.append(ByteBuffer(bytes: [piece]))
            pair.server.session.resumeBody(try #require(pair.server.recorder.streams[1]))
            try pair.settle()
        }
        #expect(pair.client.recorder.body(on: 1) == [1, 2, 3])
        #expect(request.isOpen && !request.remoteEnded)
        body.finish()
        pair.server.session.resumeBody(try #require(pair.server.recorder.streams[1]))
        try pair.settle()
        #expect(pair.client.recorder.events(on: 1).suffix(2) == [.end(1), .closed(1, .noError)])
    }

    @Test("a trailers-only response is one head that ends the stream")
    func trailersOnly() throws {
        let pair = try SessionPair()
        _ = pair.client.request()
        try pair.settle()
        let head = Wire.responseHead + [("grpc-status", "12"), ("grpc-message", "no")]
        pair.server.respond(to: 1, head)
        let frames = pair.server.outputFrames().filter { $0.streamID == 1 }
        #expect(frames.map(\.type) == [WireFrame.headers])
        #expect(frames[0].flags == WireFrame.endHeaders | WireFrame.endStream)
        try pair.client.receive(frames[0].bytes)
        #expect(
            pair.client.recorder.events(on: 1) == [
                .headers(1, .head, lines(head), endStream: true), .closed(1, .noError),
            ])
    }

    @Test("a request ends with trailers where it has some")
    func requestTrailers() throws {
        let pair = try SessionPair()
        _ = pair.client.request(body: .make([1], trailers: [("x-checksum", "77")]))
        try pair.settle()
        #expect(
            pair.server.recorder.events(on: 1).dropFirst() == [
                .data(1, [1]), .headers(1, .trailers, ["x-checksum: 77"], endStream: true),
            ])
    }

    @Test("interim responses come before the final one, each with its fields")
    func informational() throws {
        let pair = try SessionPair()
        _ = pair.client.request()
        try pair.settle()
        let stream = try #require(pair.server.recorder.streams[1])
        for hint in ["a", "b"] {
            pair.server.session.submitInformational(.make([(":status", "103"), ("link", hint)]), on: stream)
        }
        pair.server.respond(to: 1)
        try pair.settle()
        #expect(
            pair.client.recorder.events(on: 1) == [
                .headers(1, .informational, [":status: 103", "link: a"], endStream: false),
                .headers(1, .informational, [":status: 103", "link: b"], endStream: false),
                .headers(1, .head, lines(Wire.responseHead), endStream: true), .closed(1, .noError),
            ])
    }

    @Test("a response that is complete before the request arrives whole, and the rest of the request is waved off")
    func earlyResponse() throws {
        let pair = try SessionPair()
        let body = BodyQueue()
        _ = pair.client.request(body: body)
        try pair.settle()
        pair.server.respond(to: 1, body: .make([1, 2], trailers: [("grpc-status", "0")]))
        try pair.settle()
        #expect(
            pair.client.recorder.events(on: 1).suffix(4) == [
                .data(1, [1, 2]), .headers(1, .trailers, ["grpc-status: 0"], endStream: true), .reset(1, .noError),
                .closed(1, .noError),
            ])
    }

    @Test("a caller's reset reaches the server with its code", arguments: [ErrorCode.cancel, .internalError])
    func resetByClient(code: ErrorCode) throws {
        let pair = try SessionPair()
        let stream = try #require(pair.client.request(body: BodyQueue()))
        try pair.settle()
        pair.client.session.reset(stream, code)
        pair.client.session.reset(stream, .protocolError)
        try pair.settle()
        #expect(pair.server.recorder.events(on: 1).suffix(2) == [.reset(1, code), .closed(1, code)])
        #expect(pair.client.recorder.events.contains(.sentReset(1, code, provoked: false)))
        #expect(pair.client.recorder.closeCount(of: 1) == 1)
        #expect(!stream.isOpen)
    }

    @Test("a server's reset reaches the caller with its code, also one that nobody knows")
    func resetByServer() throws {
        for code in [ErrorCode.refusedStream, .enhanceYourCalm, ErrorCode(rawValue: 4_711)] {
            let pair = try SessionPair()
            let stream = try #require(pair.client.request(body: BodyQueue()))
            try pair.settle()
            pair.server.session.reset(try #require(pair.server.recorder.streams[1]), code)
            try pair.settle()
            #expect(pair.client.recorder.events(on: 1) == [.reset(1, code), .closed(1, code)])
            #expect(stream.resetByPeer == code)
        }
    }

    @Test("a stream that is reset before its head has left closes once, and the server never hears of it")
    func resetBeforeSent() throws {
        let pair = try SessionPair()
        let stream = try #require(pair.client.request(body: BodyQueue()))
        pair.client.session.reset(stream, .cancel)
        try pair.settle()
        #expect(pair.client.recorder.closeCount(of: 1) == 1)
        #expect(!stream.headersSent)
        #expect(pair.server.recorder.events(on: 1).filter { $0 != .reset(1, .cancel) } == [])
    }

    @Test("commands on a stream that has closed do nothing")
    func commandsAfterClose() throws {
        let pair = try SessionPair()
        let stream = try #require(pair.client.request())
        try pair.settle()
        pair.server.respond(to: 1)
        try pair.settle()
        pair.client.session.reset(stream, .cancel)
        pair.client.session.creditStream(stream, 5)
        pair.client.session.resumeBody(stream)
        #expect(pair.client.output().isEmpty)
    }

    @Test("a grpc-message that ends in a space passes both ways")
    func trailingSpace() throws {
        let pair = try SessionPair()
        let fields: Fields = [("grpc-status", "2"), ("grpc-message", "oops ")]
        _ = pair.client.request(Wire.request + [("x-note", " both ends ")], body: .make([1], trailers: fields))
        try pair.settle()
        pair.server.respond(to: 1, body: .make([2], trailers: fields))
        try pair.settle()
        let trailers = EventRecorder.Event.headers(
            1, .trailers, ["grpc-status: 2", "grpc-message: oops "], endStream: true)
        #expect(pair.server.recorder.events(on: 1).contains(trailers))
        #expect(pair.client.recorder.events(on: 1).contains(trailers))
    }

    @Test("a value with CR, LF or NUL does not pass", arguments: ["a\rb", "a\nb", "a\0b"])
    func controlCharacters(value: String) throws {
        let server = try Peer.startedServer()
        try server.receive(Wire.headers(on: 1, Wire.request + [("x-evil", value)], endStream: true))
        #expect(server.recorder.events(on: 1) == [])
        #expect(
            server.outputFrames().contains {
                $0.type == WireFrame.resetStream && $0.errorCode == ErrorCode.protocolError.rawValue
            })
        #expect(server.recorder.events(on: 1) == [.closed(1, .protocolError)])
    }

    @Test("a field that must never be indexed stays so on the next hop")
    func neverIndexed() throws {
        let server = try Peer.startedServer()
        server.recorder.keepsBlocks = true
        let secret: Fields = [("x-secret", "s3cret")]
        try server.receive(
            Wire.headers(
                on: 1, block: Wire.hpack(Wire.request) + Wire.hpack(secret, representation: 0x10), endStream: true))
        let client = try Peer.startedClient()
        _ = client.session.submitRequest(server.recorder.keptBlocks[0], body: nil, owner: nil)
        let sent = try #require(client.outputFrames().first { $0.type == WireFrame.headers })
        let again = try Peer.startedServer()
        again.recorder.keepsBlocks = true
        try again.receive(sent.bytes)
        let block = again.recorder.keptBlocks[0]
        #expect(block.textFields.map(\.value).last == "s3cret")
        #expect(block.fields[block.count - 1].flags & 1 == 1)
        #expect(block.fields[0].flags & 1 == 0)
    }

    @Test("a block received on one session is sent on by another, and outlives the first")
    func relayedBlock() throws {
        var server: Peer? = try Peer.startedServer()
        server?.recorder.keepsBlocks = true
        try server?.receive(Wire.headers(on: 1, Wire.request + [("x-long", String(repeating: "v", count: 3_000))]))
        let block = try #require(server?.recorder.keptBlocks[0])
        server = nil
        block.replace(.path, "/other/Path".utf8)
        let pair = try SessionPair()
        _ = pair.client.session.submitRequest(block, body: nil, owner: nil)
        try pair.settle()
        guard case .headers(1, .head, let fields, endStream: true)? = pair.server.recorder.events(on: 1).first else {
            Issue.record("no request came")
            return
        }
        #expect(fields.contains(":path: /other/Path"))
        #expect(fields.last == "x-long: " + String(repeating: "v", count: 3_000))
    }

    @Test("a head that is too large to be sent ends in a reset that both sides hear, not in silence")
    func unsendableHead() throws {
        let pair = try SessionPair()
        _ = pair.client.request()
        try pair.settle()
        pair.server.respond(to: 1, Wire.responseHead + [("x-huge", String(repeating: "h", count: 600_000))])
        try pair.settle()
        #expect(pair.client.recorder.events(on: 1) == [.reset(1, .internalError), .closed(1, .internalError)])
        #expect(pair.server.recorder.closeCount(of: 1) == 1)
    }

    @Test("streams do not mix: twenty calls at once, each with its own body")
    func interleaved() throws {
        let pair = try SessionPair()
        for call in 0..<20 {
            _ = pair.client.request(body: .make([UInt8](repeating: UInt8(call), count: 1_000 * (call + 1))))
        }
        try pair.settle()
        for call in (0..<20).reversed() {
            let id = Int32(2 * call + 1)
            #expect(
                pair.server.recorder.body(on: id) == [UInt8](repeating: UInt8(call), count: 1_000 * (call + 1)))
            pair.server.respond(to: id, body: .make([UInt8(call)], trailers: [("grpc-status", "0")]))
        }
        try pair.settle()
        for call in 0..<20 {
            let id = Int32(2 * call + 1)
            #expect(pair.client.recorder.body(on: id) == [UInt8(call)])
            #expect(pair.client.recorder.closeCount(of: id) == 1)
        }
        #expect(pair.client.session.streamCount == 0)
    }
}
