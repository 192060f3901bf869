import NIOCore
import Testing

@testable import HTTP2

@Suite("What a session puts up with")
struct SessionAbuseTests {
    /// The error with which the session ends, if it does.
    private func error(_ peer: Peer, _ bytes: [UInt8]) -> SessionError? {
        do throws(SessionError) {
            try peer.receive(bytes)
            return nil
        } catch {
            return error
        }
    }

    private func expectGoAway(_ peer: Peer, _ code: ErrorCode) {
        let last = peer.outputFrames().last
        #expect(last?.type == WireFrame.goAway)
        #expect(last?.payload.dropFirst(4).prefix(4).reduce(0) { $0 << 8 | UInt32($1) } == code.rawValue)
    }

    // MARK: Header blocks

    @Test("over the soft limit of bytes a block arrives marked, and the connection lives")
    func softBytes() throws {
        var settings = SessionSettings()
        settings.maxHeaderBytes = 1_000
        let server = try Peer.startedServer(settings)
        try server.receive(
            Wire.headers(
                on: 1, Wire.request + [("x-a", String(repeating: "a", count: 900)), ("x-b", "b")], endStream: true))
        guard case .headers(1, .head, let fields, _)? = server.recorder.events(on: 1).first else {
            Issue.record("no block came")
            return
        }
        #expect(fields.last == "(truncated)")
        #expect(!fields.contains { $0.hasPrefix("x-a") })
        try server.receive(Wire.headers(on: 3, endStream: true))
        #expect(server.recorder.events(on: 3) == [.headers(3, .head, lines(Wire.request), endStream: true)])
    }

    @Test("the soft limits are inclusive", arguments: [(0, false), (1, true)])
    func softEdge(over: Int, isTruncated: Bool) throws {
        var settings = SessionSettings()
        let size = Wire.request.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count + 32 }
        settings.maxHeaderBytes = size - over
        let bytes = try Peer.startedServer(settings)
        bytes.recorder.keepsBlocks = true
        try bytes.receive(Wire.headers(on: 1))
        #expect(bytes.recorder.keptBlocks[0].isTruncated == isTruncated)
        #expect(bytes.recorder.keptBlocks[0].listSize == size)

        settings = SessionSettings()
        settings.maxHeaderFields = Wire.request.count - over
        let fields = try Peer.startedServer(settings)
        fields.recorder.keepsBlocks = true
        try fields.receive(Wire.headers(on: 1))
        #expect(fields.recorder.keptBlocks[0].isTruncated == isTruncated)
        #expect(fields.recorder.keptBlocks[0].receivedCount == Wire.request.count)
    }

    @Test("an HPACK bomb ends the connection at the hard limit of bytes")
    func bomb() throws {
        let server = try Peer.startedServer()
        let block =
            Wire.hpack(Wire.request) + Wire.hpackIndexed("x-bomb", String(repeating: "b", count: 3_900))
            + [UInt8](repeating: 0xbe, count: 12_000)
        let error = error(server, Wire.headers(on: 1, block: block, endStream: true))
        #expect(error?.reason == .headerBytes)
        #expect(error?.code == .enhanceYourCalm)
        expectGoAway(server, .enhanceYourCalm)
        server.session.sweep(.cancel)
        #expect(server.session.streamCount == 0)
    }

    @Test("too many tiny fields end the connection at the hard limit of fields")
    func manyFields() throws {
        var settings = SessionSettings()
        settings.hardHeaderFields = 200
        let allowed = try Peer.startedServer(settings)
        // Index 2 is `:method: GET`, 16 `accept-encoding`: a byte each.
        func block(_ count: Int) -> [UInt8] {
            Wire.hpack(Wire.request) + [UInt8](repeating: 0x90, count: count - Wire.request.count)
        }
        #expect(error(allowed, Wire.headers(on: 1, block: block(200), endStream: true)) == nil)
        let over = try Peer.startedServer(settings)
        #expect(error(over, Wire.headers(on: 1, block: block(201), endStream: true))?.reason == .headerBytes)
    }

    @Test("a response has the same limits")
    func responseBlock() throws {
        var settings = SessionSettings()
        settings.maxHeaderFields = 10
        settings.hardHeaderFields = 20
        let client = try Peer.startedClient(settings)
        _ = client.request()
        _ = client.request()
        _ = client.output()
        func head(_ count: Int) -> Fields { [(":status", "200")] + (1..<count).map { ("x-\($0)", "v") } }
        try client.receive(Wire.headers(on: 1, head(11), endStream: true))
        guard case .headers(1, .head, let fields, _)? = client.recorder.events(on: 1).first else {
            Issue.record("no block came")
            return
        }
        #expect(fields.last == "(truncated)")
        #expect(error(client, Wire.headers(on: 3, head(21), endStream: true))?.reason == .headerBytes)
    }

    @Test("as many CONTINUATION frames as allowed pass, one more does not", arguments: [(32, false), (33, true)])
    func continuations(count: Int, isFlood: Bool) throws {
        let server = try Peer.startedServer()
        let block = Wire.hpack(Wire.request)
        var bytes = Wire.headers(on: 1, block: block, endStream: true, endHeaders: false)
        for index in 1...count { bytes += Wire.continuation(on: 1, endHeaders: index == count) }
        #expect(error(server, bytes)?.reason == (isFlood ? .continuationFlood : nil))
        #expect(server.recorder.events(on: 1).isEmpty == isFlood)
        if isFlood { expectGoAway(server, .enhanceYourCalm) }
    }

    @Test(
        "a block without an end ends the connection, whatever the size of its frames", arguments: [0, 1, 100, 16_384])
    func endlessBlock(size: Int) throws {
        let server = try Peer.startedServer()
        #expect(!server.session.isInHeaderBlock)
        var failure = error(server, Wire.headers(on: 1, endHeaders: false))
        #expect(server.session.isInHeaderBlock)
        var frames = 0
        // One field without an end of its own: a literal whose value is 2 MB long.
        var piece = [0x00, 0x01, 0x78, 0x7f, 0xff, 0xff, 0x7f] as [UInt8]
        while failure == nil, frames < 1_000 {
            if piece.count < size { piece += [UInt8](repeating: 0x61, count: size - piece.count) }
            failure = error(server, Wire.continuation(on: 1, Array(piece.prefix(size))))
            piece = Array(piece.dropFirst(size))
            frames += 1
        }
        #expect(failure != nil)
        #expect(frames <= 33)
    }

    // MARK: Suspicious frames

    /// Settings under which the hundredth-and-first glitch ends the connection.
    private static var strict: SessionSettings {
        var settings = SessionSettings()
        settings.glitchBurst = 100
        settings.glitchRate = 10
        return settings
    }

    private static let glitches: [(what: String, frame: [UInt8], allowed: Int)] = [
        ("unknown type", WireFrame(type: 0xee, payload: [1]).bytes, 100),
        ("unknown type on a stream", WireFrame(type: 0x0b, streamID: 1).bytes, 100),
        ("ALTSVC", WireFrame(type: 0x0a, streamID: 1, payload: [0, 0]).bytes, 100),
        ("PRIORITY", Wire.priority(of: 3, on: 1), 100),
        ("SETTINGS", Wire.settings(), 10),
        // Three are free until HEADERS or DATA go out.
        ("PING", Wire.ping(), 103),
        ("PING answer", Wire.ping(ack: true), 10_000),
        // 5 + 2 * (1 stream + 0 DATA frames sent) are free.
        ("WINDOW_UPDATE", Wire.windowUpdate(on: 0, by: 1), 107),
    ]

    @Test("the budget of suspicious frames is charged by kind", arguments: glitches.indices)
    func glitchBudget(index: Int) throws {
        let (what, frame, allowed) = Self.glitches[index]
        let server = try Peer.startedServer(Self.strict)
        // The client's own first SETTINGS has cost 10; the time makes up for it.
        server.now += 10_000_000_000
        try server.receive(Wire.headers(on: 1))
        var count = 0
        while count < allowed, error(server, frame) == nil {
            count += 1
            _ = server.output()
        }
        #expect(count == allowed, "\(what)")
        guard allowed < 10_000 else { return }
        let last = error(server, frame)
        #expect(last?.reason == .glitches, "\(what)")
        #expect(last?.code == .enhanceYourCalm)
        expectGoAway(server, .enhanceYourCalm)
        #expect(server.recorder.events.filter { $0 == .nearGlitchLimit }.count == 1)
        #expect(server.session.glitchCount > 100)
    }

    @Test("at three quarters of the budget the owner is told, once")
    func nearLimit() throws {
        let server = try Peer.startedServer(Self.strict)
        server.now += 10_000_000_000
        for _ in 0..<75 { try server.receive(Wire.priority(of: 3, on: 1)) }
        #expect(!server.recorder.events.contains(.nearGlitchLimit))
        for _ in 0..<5 { try server.receive(Wire.priority(of: 3, on: 1)) }
        #expect(server.recorder.events.filter { $0 == .nearGlitchLimit }.count == 1)
    }

    @Test("suspicious frames at a bearable rate go on for ever")
    func bearableRate() throws {
        let server = try Peer.startedServer(Self.strict)
        for _ in 0..<1_000 {
            server.now += 1_000_000_000
            for _ in 0..<10 { try server.receive(Wire.priority(of: 3, on: 1)) }
        }
        #expect(server.session.glitchCount >= 10_000)
    }

    @Test("pings are fair again after something was sent")
    func pingsForgiven() throws {
        let server = try Peer.startedServer(Self.strict)
        server.now += 10_000_000_000
        for call in 0..<100 {
            let id = Int32(2 * call + 1)
            try server.receive(Wire.headers(on: id, endStream: true) + Wire.ping() + Wire.ping() + Wire.ping())
            server.respond(to: id)
            _ = server.output()
        }
        #expect(server.session.glitchCount == 10)
    }

    @Test("ten empty DATA frames in a row pass, one more does not; a byte in between makes them honest")
    func emptyData() throws {
        let server = try Peer.startedServer()
        try server.receive(Wire.headers(on: 1))
        for _ in 0..<5 {
            for _ in 0..<10 { try server.receive(Wire.data(on: 1)) }
            try server.receive(Wire.data(on: 1, [1]))
        }
        for _ in 0..<10 { try server.receive(Wire.data(on: 1)) }
        #expect(error(server, Wire.data(on: 1))?.reason == .glitches)
        expectGoAway(server, .enhanceYourCalm)
    }

    @Test("DATA frames of one byte are honest, however many")
    func tinyData() throws {
        let server = try Peer.startedServer(Self.strict)
        try server.receive(Wire.headers(on: 1))
        for _ in 0..<20_000 {
            try server.receive(Wire.data(on: 1, [1]))
            _ = server.output()
        }
        #expect(server.recorder.body(on: 1).count == 20_000)
    }

    // MARK: Resets

    private static let provocations: [(what: String, bytes: @Sendable (Int32) -> [UInt8])] = [
        ("window overflow", { Wire.headers(on: $0) + Wire.windowUpdate(on: $0, by: 0x7fff_ffff) }),
        (
            "pseudo field in trailers",
            { Wire.headers(on: $0) + Wire.headers(on: $0, [(":path", "/")], endStream: true) }
        ),
        ("trailers without END_STREAM", { Wire.headers(on: $0) + Wire.headers(on: $0, [("x", "y")]) }),
        (
            "more than content-length",
            { Wire.headers(on: $0, Wire.request + [("content-length", "1")]) + Wire.data(on: $0, [1, 2]) }
        ),
        ("name in upper case", { Wire.headers(on: $0, Wire.request + [("X-Upper", "1")]) }),
        ("no pseudo field", { Wire.headers(on: $0, [("x", "y")]) }),
    ]

    @Test("a peer that provokes resets is cut off after a few hundred", arguments: provocations.indices)
    func provokedResets(index: Int) throws {
        let (what, bytes) = Self.provocations[index]
        let server = try Peer.startedServer()
        var failure: SessionError?
        var streams = 0
        while failure == nil, streams < 5_000 {
            failure = error(server, bytes(Int32(2 * streams + 1)))
            streams += 1
            if failure == nil { _ = server.output() }
        }
        #expect(failure?.reason == .provokedResets, "\(what)")
        #expect(streams <= 202, "\(what)")
        expectGoAway(server, .enhanceYourCalm)
        let provoked = server.recorder.events.filter {
            if case .sentReset(_, _, provoked: true) = $0 { true } else { false }
        }
        // Each costs 50 of the 10 000 glitches as well, which other frames share.
        #expect((190...200).contains(provoked.count), "\(what)")
    }

    @Test("resets of our own are no fault of the peer")
    func ownResets() throws {
        let server = try Peer.startedServer()
        for call in 0..<1_000 {
            let id = Int32(2 * call + 1)
            try server.receive(Wire.headers(on: id))
            server.session.reset(try #require(server.recorder.streams[id]), .internalError)
            _ = server.output()
            try server.receive(Wire.data(on: id, [1]))
        }
        #expect(server.session.glitchCount == 10)
    }

    @Test("a reset of the peer's on every stream is the owner's to judge, not the session's")
    func rapidReset() throws {
        let server = try Peer.startedServer()
        for call in 0..<3_000 {
            let id = Int32(2 * call + 1)
            try server.receive(Wire.headers(on: id) + Wire.reset(id, 8))
            _ = server.output()
        }
        #expect(server.recorder.events.filter { if case .closed = $0 { true } else { false } }.count == 3_000)
        #expect(server.session.glitchCount == 10)
    }

    // MARK: Wrong starts

    @Test(
        "what is no preface is told so",
        arguments: ["GET / HTTP/1.1\r\nhost: a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"])
    func badPreface(text: String) {
        let server = Peer(.server)
        let failure = error(server, Array(text.utf8))
        #expect(failure?.reason == .badPreface)
        expectGoAway(server, .protocolError)
    }

    @Test("a stream that depends on itself is a protocol error")
    func selfDependency() throws {
        let priority = try Peer.startedServer()
        #expect(error(priority, Wire.priority(of: 5, on: 5))?.code == .protocolError)
        let headers = try Peer.startedServer()
        let frame = WireFrame(
            type: WireFrame.headers, flags: WireFrame.endHeaders | WireFrame.hasPriority, streamID: 1,
            payload: [0x80, 0, 0, 1, 1] + Wire.hpack(Wire.request))
        #expect(error(headers, frame.bytes)?.code == .protocolError)
        expectGoAway(headers, .protocolError)
    }

    @Test("PRIORITY on stream 0 or of a wrong size ends the connection")
    func badPriority() throws {
        let zero = try Peer.startedServer()
        #expect(error(zero, Wire.priority(of: 0, on: 1))?.code == .protocolError)
        let short = try Peer.startedServer()
        #expect(error(short, WireFrame(type: 2, streamID: 1, payload: [0, 0, 0, 1]).bytes)?.code == .frameSizeError)
    }

    @Test("what comes before a broken frame in the same read is still heard")
    func beforeTheError() throws {
        let server = try Peer.startedServer()
        let failure = error(server, Wire.headers(on: 1, endStream: true) + Wire.priority(of: 0, on: 1))
        #expect(failure != nil)
        #expect(server.recorder.events(on: 1).count == 1)
    }
}
