import NIOCore
import Testing

@testable import HTTP2

/// RFC 9113, 5.1 and 5.1.1, on a library that keeps no closed streams.
@Suite("Frames on streams that are gone")
struct SessionClosedStreamTests {
    private func error(_ peer: Peer, _ bytes: [UInt8]) -> SessionError? {
        do throws(SessionError) {
            try peer.receive(bytes)
            return nil
        } catch {
            return error
        }
    }

    /// A server on which stream 1 was served to its end.
    private func serverAfterCall() throws -> Peer {
        let server = try Peer.startedServer()
        try server.receive(Wire.headers(on: 1, endStream: true))
        server.respond(to: 1)
        _ = server.output()
        #expect(server.recorder.closeCount(of: 1) == 1)
        return server
    }

    @Test("DATA and HEADERS on a stream that the peer has finished are errors of the connection")
    func finished() throws {
        #expect(error(try serverAfterCall(), Wire.data(on: 1, [1]))?.code == .streamClosed)
        #expect(error(try serverAfterCall(), Wire.headers(on: 1, endStream: true))?.code == .streamClosed)
    }

    @Test("WINDOW_UPDATE, PRIORITY and RST_STREAM on it are let pass")
    func lateControlFrames() throws {
        let server = try serverAfterCall()
        try server.receive(Wire.windowUpdate(on: 1, by: 9) + Wire.priority(of: 1, on: 3) + Wire.reset(1, 8))
        try server.receive(Wire.headers(on: 3, endStream: true))
        #expect(server.recorder.events(on: 3).count == 1)
    }

    @Test("frames on a stream that the peer has reset are errors of the connection")
    func resetByPeer() throws {
        for frame in [Wire.data(on: 1, [1]), Wire.headers(on: 1, endStream: true)] {
            let server = try Peer.startedServer()
            try server.receive(Wire.headers(on: 1) + Wire.reset(1, 8))
            #expect(error(server, frame)?.code == .streamClosed)
            // The same in one read.
            let other = try Peer.startedServer()
            #expect(error(other, Wire.headers(on: 1) + Wire.reset(1, 8) + frame)?.code == .streamClosed)
        }
    }

    @Test("frames that were on their way when we reset are let pass")
    func resetByUs() throws {
        let server = try Peer.startedServer()
        try server.receive(Wire.headers(on: 1))
        server.session.reset(try #require(server.recorder.streams[1]), .cancel)
        _ = server.output()
        let before = server.session.glitchCount
        try server.receive(Wire.data(on: 1, pattern(1_000)) + Wire.data(on: 1, endStream: true))
        #expect(server.session.glitchCount == before)
        try server.receive(Wire.headers(on: 3, endStream: true))
        #expect(server.recorder.events(on: 3).count == 1)
        #expect(server.recorder.body(on: 1).isEmpty)
    }

    @Test("trailers on a stream that we reset keep the decoder in step")
    func trailersAfterReset() throws {
        let server = try Peer.startedServer()
        try server.receive(Wire.headers(on: 1))
        server.session.reset(try #require(server.recorder.streams[1]), .cancel)
        _ = server.output()
        // The ignored trailers put a field into the dynamic table; the next request refers to it.
        try server.receive(Wire.headers(on: 1, block: Wire.hpackIndexed("x-kept", "yes"), endStream: true))
        try server.receive(Wire.headers(on: 3, block: Wire.hpack(Wire.request) + [0xbe], endStream: true))
        #expect(
            server.recorder.events(on: 3) == [
                .headers(3, .head, lines(Wire.request) + ["x-kept: yes"], endStream: true)
            ])
    }

    @Test("HEADERS on an id that was skipped is a protocol error")
    func skipped() throws {
        for id: Int32 in [1, 3, 7] {
            let server = try Peer.startedServer()
            try server.receive(Wire.headers(on: 5, endStream: true) + Wire.headers(on: 9, endStream: true))
            #expect(error(server, Wire.headers(on: id, endStream: true))?.code == .protocolError, "stream \(id)")
        }
    }

    @Test("what is too long ago to know costs a little and ends nothing")
    func forgotten() throws {
        var settings = SessionSettings()
        settings.maxConcurrentStreams = 10
        let server = try Peer.startedServer(settings)
        for call in Int32(0)...64 {
            try server.receive(Wire.headers(on: 2 * call + 1, endStream: true))
            server.respond(to: 2 * call + 1)
            _ = server.output()
        }
        let before = server.session.glitchCount
        try server.receive(Wire.data(on: 1, [1]))
        #expect(server.session.glitchCount == before)
        #expect(error(server, Wire.headers(on: 3, endStream: true))?.code == .streamClosed)
    }

    @Test("a frame after END_STREAM on a stream that is still being answered is an error")
    func halfClosed() throws {
        for frame in [Wire.data(on: 1, [1]), Wire.headers(on: 1, endStream: true)] {
            let server = try Peer.startedServer()
            try server.receive(Wire.headers(on: 1, endStream: true))
            try? server.receive(frame)
            let goAway = try #require(server.outputFrames().last)
            #expect(goAway.type == WireFrame.goAway)
            #expect(goAway.payload.dropFirst(4).prefix(4).reduce(0) { $0 << 8 | UInt32($1) } == 5)
        }
    }

    @Test("frames on a stream that was never opened end the connection")
    func idle() throws {
        for frame in [Wire.data(on: 1, [1]), Wire.reset(1, 8), Wire.windowUpdate(on: 1, by: 1)] {
            let server = try Peer.startedServer()
            try? server.receive(frame)
            #expect(server.outputFrames().last?.type == WireFrame.goAway)
            #expect(server.session.isDone)
        }
    }

    @Test("a client judges a server by the same rules")
    func clientSide() throws {
        let client = try Peer.startedClient()
        _ = client.request()
        _ = client.output()
        try client.receive(Wire.headers(on: 1, Wire.responseHead, endStream: true))
        #expect(client.recorder.closeCount(of: 1) == 1)
        #expect(error(client, Wire.data(on: 1, [1]))?.code == .streamClosed)

        let patient = try Peer.startedClient()
        let stream = try #require(patient.request(body: BodyQueue()))
        _ = patient.output()
        patient.session.reset(stream, .cancel)
        _ = patient.output()
        try patient.receive(
            Wire.headers(on: 1, Wire.responseHead) + Wire.data(on: 1, pattern(10))
                + Wire.headers(on: 1, [("grpc-status", "0")], endStream: true))
        #expect(patient.recorder.events(on: 1) == [.closed(1, .cancel)])
    }
}
