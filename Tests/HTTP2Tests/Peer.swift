import NIOCore

@testable import HTTP2

/// One end of a connection: a session, what it told, and its clock.
final class Peer {
    let recorder = EventRecorder()
    let blocks = HeaderBlockPool()
    let session: Session
    /// Nanoseconds of the clock that the session is given.
    var now: Int64 = 1_000_000_000

    init(_ role: Session.Role, _ settings: SessionSettings = SessionSettings()) {
        session = Session(role: role, settings: settings, blocks: blocks, delegate: recorder)
    }

    /// A server that has heard a client's preface and SETTINGS, with its own first words taken.
    static func startedServer(_ settings: SessionSettings = SessionSettings()) throws -> Peer {
        let server = Peer(.server, settings)
        try server.receive(Wire.clientStart + Wire.settingsAck)
        _ = server.output()
        return server
    }

    /// A client that has heard a server's SETTINGS, with its own first words taken.
    static func startedClient(
        _ settings: SessionSettings = SessionSettings(), serverSettings: [(id: UInt16, value: UInt32)] = []
    ) throws -> Peer {
        let client = Peer(.client, settings)
        try client.receive(Wire.settings(serverSettings) + Wire.settingsAck)
        _ = client.output()
        return client
    }

    func receive(_ bytes: [UInt8]) throws(SessionError) {
        try session.receive(ByteBuffer(bytes: bytes), now: now)
    }

    /// Feeds bytes in pieces of at most `size`.
    func receive(_ bytes: [UInt8], inPiecesOf size: Int) throws(SessionError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            try receive(Array(rest.prefix(size)))
            rest = rest.dropFirst(size)
        }
    }

    /// Everything that the session has to say now.
    func output() -> [UInt8] {
        while session.produce(limit: session.output.readableBytes + 65_536) {}
        defer { session.output.clear() }
        return Array(session.output.readableBytesView)
    }

    /// The frames that the session has to say now.
    func outputFrames() -> [WireFrame] {
        WireFrame.read(output())
    }

    func request(_ fields: Fields = Wire.request, body: BodyQueue? = nil) -> HTTP2.Stream? {
        session.submitRequest(.make(fields), body: body, owner: nil)
    }

    func respond(to id: Int32, _ fields: Fields = Wire.responseHead, body: BodyQueue? = nil) {
        guard let stream = recorder.streams[id] else { return }
        session.submitResponse(.make(fields), body: body, on: stream)
    }
}

/// A client and a server, joined by byte arrays.
struct SessionPair {
    let client: Peer
    let server: Peer

    init(client: SessionSettings = SessionSettings(), server: SessionSettings = SessionSettings()) throws {
        self.client = Peer(.client, client)
        self.server = Peer(.server, server)
        try settle()
    }

    /// Carries bytes back and forth until both are silent.
    func settle() throws {
        while true {
            let forth = client.output()
            if !forth.isEmpty { try server.receive(forth) }
            let back = server.output()
            if !back.isEmpty { try client.receive(back) }
            if forth.isEmpty, back.isEmpty { return }
        }
    }
}

extension HeaderBlock {
    static func make(_ fields: Fields) -> HeaderBlock {
        let block = HeaderBlock()
        for field in fields { block.append(name: field.name.utf8, value: field.value.utf8) }
        return block
    }
}

extension BodyQueue {
    /// A body that is complete.
    static func make(_ bytes: [UInt8], trailers: Fields? = nil) -> BodyQueue {
        let queue = BodyQueue()
        queue.append(ByteBuffer(bytes: bytes))
        queue.finish(trailers: trailers.map { .make($0) })
        return queue
    }
}

/// Fields in the form of ``EventRecorder/Event/headers(_:_:_:endStream:)``.
func lines(_ fields: Fields) -> [String] {
    fields.map { "\($0.name): \($0.value)" }
}

/// Bytes that tell their position, so that a lost or doubled one shows.
func pattern(_ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
}
