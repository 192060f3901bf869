import NIOCore
import Testing

@testable import HTTP2

@Suite("The life of a session")
struct SessionLifecycleTests {
    @Test("both sides hear the other's SETTINGS and its acknowledgement")
    func start() throws {
        let pair = try SessionPair()
        for peer in [pair.client, pair.server] {
            #expect(
                Set(["\(EventRecorder.Event.settings)", "\(EventRecorder.Event.settingsAck)"])
                    == Set(peer.recorder.events.map { "\($0)" }))
            #expect(peer.session.settingsReceived)
            #expect(peer.session.settingsAcknowledged)
        }
    }

    @Test("the first SETTINGS say what the settings say")
    func firstSettings() throws {
        var settings = SessionSettings()
        settings.maxConcurrentStreams = 7
        settings.streamWindowBytes = 123_456
        settings.maxHeaderBytes = 4_321
        settings.connectionWindowBytes = 1_000_000
        let server = WireFrame.read(Peer(.server, settings).output())
        #expect(
            server.first == WireFrame.read(Wire.settings([(4, 123_456), (6, 4_321), (9, 1), (3, 7)])).first)
        #expect(server.dropFirst().first?.bytes == Wire.windowUpdate(on: 0, by: 1_000_000 - 65_535))
        let client = Peer(.client, settings).output()
        #expect(client.starts(with: WireFrame.preface))
        #expect(
            WireFrame.read(client).first
                == WireFrame.read(Wire.settings([(4, 123_456), (6, 4_321), (9, 1), (2, 0)])).first)
    }

    @Test("a client counts a hundred slots until it knows better")
    func peerConcurrency() throws {
        let client = Peer(.client)
        #expect(client.session.peerMaxConcurrentStreams == 100)
        try client.receive(Wire.settings([(3, 3)]))
        #expect(client.session.peerMaxConcurrentStreams == 3)
    }

    @Test("a PING is answered, and an answer is heard")
    func ping() throws {
        let server = try Peer.startedServer()
        try server.receive(Wire.ping())
        #expect(server.output() == Wire.ping(ack: true))
        server.session.ping()
        #expect(server.outputFrames().map(\.type) == [WireFrame.ping])
        try server.receive(Wire.ping(ack: true))
        #expect(server.recorder.events.last == .pingAck)
    }

    @Test("good-bye in two steps: what crosses the first GOAWAY is served, what comes after the second is refused")
    func gracefulShutdown() throws {
        let pair = try SessionPair()
        _ = pair.client.request(body: BodyQueue())
        try pair.settle()
        pair.server.session.announceShutdown()
        // A request that left before the client heard of it.
        _ = pair.client.request()
        let crossing = pair.client.output()
        try pair.settle()
        #expect(pair.client.recorder.events.contains(.goAway(last: .max, .noError, debug: "")))
        #expect(!pair.client.session.takesRequests)
        try pair.server.receive(crossing)
        #expect(pair.server.recorder.streams.keys.sorted() == [1, 3])

        pair.server.session.goAway(.noError)
        try pair.settle()
        #expect(pair.client.recorder.events.contains(.goAway(last: 3, .noError, debug: "")))
        #expect(pair.client.recorder.closeCount(of: 1) == 0)
        #expect(!pair.server.session.isDone)
        // A client that does not listen.
        try pair.server.receive(Wire.headers(on: 5, endStream: true))
        #expect(pair.server.recorder.streams[5] == nil)

        for id: Int32 in [1, 3] { pair.server.respond(to: id) }
        try pair.settle()
        #expect(pair.client.session.streamCount == 0)
        #expect(pair.server.session.streamCount == 0)
        #expect(pair.server.session.isDone)
    }

    @Test("streams above GOAWAY's last id are closed as refused, those below go on")
    func goAwayBelow() throws {
        let client = try Peer.startedClient()
        let first = try #require(client.request(body: BodyQueue()))
        let second = try #require(client.request(body: BodyQueue()))
        _ = client.output()
        #expect(second.headersSent)
        try client.receive(Wire.goAway(last: 1, 0, debug: "max_age"))
        #expect(client.recorder.events.contains(.goAway(last: 1, .noError, debug: "max_age")))
        #expect(client.recorder.events(on: 3) == [.closed(3, .refusedStream)])
        #expect(first.isOpen)
        #expect(!client.session.takesRequests)
        try client.receive(Wire.headers(on: 1, Wire.responseHead, endStream: true))
        #expect(client.recorder.events(on: 1).count == 1)
    }

    @Test("a stream whose head has not left when GOAWAY comes closes as refused and is known to be unsent")
    func goAwayBeforeSent() throws {
        let client = try Peer.startedClient()
        _ = client.request(body: BodyQueue())
        _ = client.output()
        let unsent = try #require(client.request(body: BodyQueue()))
        try client.receive(Wire.goAway(last: 1, 0))
        // No reset: its peer has never seen the stream.
        #expect(client.output().isEmpty)
        #expect(client.recorder.events(on: unsent.id) == [.closed(3, .refusedStream)])
        #expect(!unsent.headersSent)
    }

    @Test("a stream over the peer's concurrency waits for a slot, and a GOAWAY refuses it unsent")
    func waitingForSlot() throws {
        let client = try Peer.startedClient(serverSettings: [(3, 1)])
        for _ in 0..<3 { _ = client.request() }
        #expect(client.outputFrames().map(\.streamID) == [1])
        try client.receive(Wire.headers(on: 1, Wire.responseHead, endStream: true))
        #expect(client.outputFrames().map(\.streamID) == [3])
        try client.receive(Wire.goAway(last: 3, 0) + Wire.headers(on: 3, Wire.responseHead, endStream: true))
        #expect(client.output().isEmpty)
        #expect(client.recorder.events(on: 5) == [.closed(5, .refusedStream)])
        #expect(!client.recorder.events.contains(.sentHeaders(5)))
    }

    @Test("near the end of the id space a client takes what is left and then no more")
    func idExhaustion() throws {
        var settings = SessionSettings()
        settings.firstStreamID = 2_147_483_643
        let pair = try SessionPair(client: settings)
        var ids: [Int32] = []
        while pair.client.session.takesRequests, let stream = pair.client.request(), ids.count < 5 {
            ids.append(stream.id)
        }
        #expect(ids.starts(with: [2_147_483_643, 2_147_483_645]))
        #expect(ids.count <= 3)
        try pair.settle()
        for id in ids { pair.server.respond(to: id) }
        try pair.settle()
        for id in ids { #expect(pair.client.recorder.events(on: id).last == .closed(id, .noError)) }
        while let stream = pair.client.request() { ids.append(stream.id) }
        #expect(ids.count <= 3)
        #expect(ids.allSatisfy { $0 > 0 })
        #expect(!pair.client.session.takesRequests)
    }

    @Test("after a lost connection a sweep closes each open stream exactly once, and the session is silent")
    func sweep() throws {
        let client = try Peer.startedClient()
        for _ in 0..<3 { _ = client.request(body: .make(pattern(10))) }
        _ = client.output()
        _ = client.request()
        client.session.sweep(.internalError)
        client.session.sweep(.cancel)
        for id: Int32 in [1, 3, 5, 7] { #expect(client.recorder.events(on: id) == [.closed(id, .internalError)]) }
        #expect(client.session.streamCount == 0)
        #expect(!client.session.wantsWrite)
        #expect(client.output().isEmpty)
        #expect(client.request() == nil)
        try client.receive(Wire.headers(on: 1, Wire.responseHead, endStream: true))
        #expect(client.recorder.closeCount(of: 1) == 1)
    }

    @Test("a sweep after an error finds the streams that the library closed no more")
    func sweepAfterError() throws {
        let client = try Peer.startedClient()
        for _ in 0..<3 { _ = client.request(body: BodyQueue()) }
        _ = client.output()
        try client.receive(Wire.headers(on: 1, Wire.responseHead, endStream: true) + Wire.reset(3, 8))
        // DATA before HEADERS: an error of the connection.
        try? client.receive(Wire.data(on: 5, [1]))
        #expect(client.outputFrames().last?.type == WireFrame.goAway)
        client.session.sweep(.internalError)
        for id: Int32 in [1, 3, 5] { #expect(client.recorder.closeCount(of: id) == 1, "stream \(id)") }
    }

    @Test("a terminated session says GOAWAY once and hears nothing more")
    func terminate() throws {
        let server = try Peer.startedServer()
        try server.receive(Wire.headers(on: 1))
        server.session.terminate(.enhanceYourCalm)
        server.session.terminate(.protocolError)
        let frames = server.outputFrames()
        #expect(frames.map(\.type) == [WireFrame.goAway])
        #expect(frames[0].errorCode == ErrorCode.enhanceYourCalm.rawValue)
        try server.receive(Wire.headers(on: 3, endStream: true))
        #expect(server.recorder.events(on: 3) == [])
        #expect(server.session.isTerminated)
    }

    @Test("an owner is let go of when its stream closes")
    func ownerReleased() throws {
        final class Owner {}
        weak var owner: Owner?
        let client = try Peer.startedClient()
        do {
            let strong = Owner()
            owner = strong
            _ = client.session.submitRequest(.make(Wire.request), body: BodyQueue(), owner: strong)
        }
        #expect(owner != nil)
        _ = client.output()
        try client.receive(Wire.reset(1, 8))
        #expect(owner == nil)
    }

    @Test("every open stream is visited, also while the visitor resets them")
    func forEachStream() throws {
        let client = try Peer.startedClient()
        for _ in 0..<5 { _ = client.request(body: BodyQueue()) }
        _ = client.output()
        var ids: [Int32] = []
        client.session.forEachStream { stream in
            ids.append(stream.id)
            client.session.reset(stream, .cancel)
        }
        #expect(ids.sorted() == [1, 3, 5, 7, 9])
        #expect(client.outputFrames().map(\.type) == [UInt8](repeating: WireFrame.resetStream, count: 5))
        #expect(client.session.streamCount == 0)
    }
}
