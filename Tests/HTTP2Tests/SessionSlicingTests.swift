import NIOCore
import TestSupport
import Testing

@testable import HTTP2

/// A conversation means the same however TCP cuts it.
@Suite("Bytes cut anywhere")
struct SessionSlicingTests {
    /// What a peer hears from these bytes: its events, and the words it has for the other side at the end.
    private struct Hearing: Equatable {
        var events: [EventRecorder.Event]
        var error: SessionError?
        var answer: [WireFrame]
    }

    private func hear(_ pieces: [[UInt8]], _ make: () throws -> Peer) throws -> Hearing {
        let peer = try make()
        var failure: SessionError?
        do throws(SessionError) {
            for piece in pieces { try peer.receive(piece) }
        } catch {
            failure = error
        }
        let answer = peer.outputFrames()
        peer.session.sweep(.cancel)
        return Hearing(events: peer.recorder.events, error: failure, answer: answer)
    }

    /// Feeds the bytes whole, byte by byte, in pieces of every small size, and in two parts cut at every offset.
    private func expectSameHearing(_ bytes: [UInt8], _ make: () throws -> Peer) throws {
        let whole = try hear([bytes], make)
        #expect(!whole.events.isEmpty)
        for size in 1...12 {
            let pieces = stride(from: 0, to: bytes.count, by: size).map {
                Array(bytes[$0..<min($0 + size, bytes.count)])
            }
            let sliced = try hear(pieces, make)
            #expect(sliced == whole, "pieces of \(size)")
        }
        for cut in 1..<bytes.count {
            let halves = try hear([Array(bytes[..<cut]), Array(bytes[cut...])], make)
            if halves != whole {
                #expect(halves == whole, "cut at \(cut) of \(bytes.count)")
                return
            }
        }
    }

    private static let requests: [UInt8] = {
        var bytes = Wire.clientStart + Wire.settingsAck
        // A call with body and trailers, its block in three frames.
        let block = Wire.hpack(Wire.request)
        bytes += Wire.headers(on: 1, block: Array(block[..<20]), endHeaders: false)
        bytes += Wire.continuation(on: 1, Array(block[20..<21])) + Wire.continuation(on: 1)
        bytes += Wire.continuation(on: 1, Array(block[21...]), endHeaders: true)
        bytes += Wire.data(on: 1, pattern(40)) + Wire.data(on: 1) + Wire.data(on: 1, [1, 2, 3], padding: 7)
        // Another in between: HEADERS with priority, no body.
        var prioritized = WireFrame(
            type: WireFrame.headers, flags: WireFrame.endHeaders | WireFrame.endStream | WireFrame.hasPriority,
            streamID: 3, payload: [0, 0, 0, 1, 9] + Wire.hpack(Wire.request))
        bytes += prioritized.bytes
        prioritized.streamID = 5
        prioritized.flags = WireFrame.endHeaders | WireFrame.hasPriority | WireFrame.padded
        prioritized.payload = [4, 0x80, 0, 0, 3, 1] + Wire.hpack(Wire.request) + [0, 0, 0, 0]
        bytes += prioritized.bytes
        bytes += Wire.ping() + Wire.windowUpdate(on: 0, by: 9) + Wire.windowUpdate(on: 1, by: 9)
        bytes += WireFrame(type: 0xbe, flags: 0xff, streamID: 1, payload: [1, 2, 3]).bytes
        bytes += Wire.priority(of: 3, on: 1)
        bytes += Wire.headers(on: 1, [("x-checksum", "1")], endStream: true)
        bytes += Wire.data(on: 5, [9]) + Wire.reset(5, 8)
        // Skips 7.
        bytes += Wire.headers(on: 9, endStream: true)
        return bytes + Wire.goAway(last: 0, 0, debug: "bye")
    }()

    private static let responses: [UInt8] = {
        var bytes = Wire.settings([(3, 50), (5, 20_000)]) + Wire.settingsAck
        bytes += Wire.headers(on: 1, [(":status", "103"), ("link", "a")])
        bytes += Wire.headers(on: 3, Wire.responseHead + [("grpc-status", "5")], endStream: true)
        bytes += Wire.headers(on: 1, Wire.responseHead) + Wire.data(on: 1, pattern(50))
        bytes += Wire.headers(on: 5, Wire.responseHead) + Wire.data(on: 5, [1], padding: 0)
        bytes += Wire.data(on: 1, pattern(5)) + Wire.reset(5, 2)
        bytes += Wire.headers(on: 1, [("grpc-status", "0")], endStream: true)
        bytes += Wire.ping() + Wire.ping(ack: true)
        return bytes + Wire.goAway(last: 7, 11, debug: "calm down")
    }()

    @Test("a server hears the same requests")
    func requests() throws {
        try expectSameHearing(Self.requests) { Peer(.server) }
    }

    @Test("a client hears the same responses")
    func responses() throws {
        try expectSameHearing(Self.responses) {
            let client = Peer(.client)
            for _ in 0..<4 { _ = client.request(body: .make([1])) }
            _ = client.output()
            return client
        }
    }

    /// Conversations that end in an error do so at the same place with the same words.
    private static let mistakes: [(what: String, bytes: [UInt8])] = [
        ("a second preface", Wire.clientStart + WireFrame.preface),
        ("an even stream id", Wire.clientStart + Wire.headers(on: 2, endStream: true)),
        ("a short PRIORITY", Wire.clientStart + WireFrame(type: 2, streamID: 3, payload: [0, 0]).bytes),
        (
            "a skipped id",
            Wire.clientStart + Wire.headers(on: 9, endStream: true) + Wire.headers(on: 5, endStream: true)
        ),
        (
            "DATA on a stream that was reset by its sender",
            Wire.clientStart + Wire.headers(on: 1) + Wire.reset(1, 8) + Wire.data(on: 1, [1, 2, 3])
        ),
        (
            "HEADERS on a stream that was reset by its sender",
            Wire.clientStart + Wire.headers(on: 1) + Wire.reset(1, 8) + Wire.headers(on: 1, endStream: true)
        ),
        ("DATA without HEADERS", Wire.clientStart + Wire.data(on: 1, [1, 2, 3])),
        ("broken HPACK", Wire.clientStart + Wire.headers(on: 1, block: [0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
        ("a CONTINUATION of nothing", Wire.clientStart + Wire.continuation(on: 1, [0])),
        ("a frame inside a block", Wire.clientStart + Wire.headers(on: 1, endHeaders: false) + Wire.ping()),
        ("a window over 2^31-1", Wire.clientStart + Wire.windowUpdate(on: 0, by: 0x7fff_ffff)),
    ]

    @Test("mistakes are found at the same place", arguments: mistakes.indices)
    func mistake(index: Int) throws {
        let (what, bytes) = Self.mistakes[index]
        try expectSameHearing(bytes + Wire.ping()) { Peer(.server) }
        let whole = try hear([bytes + Wire.ping()]) { Peer(.server) }
        #expect(whole.answer.last?.type == WireFrame.goAway, "\(what): \(whole)")
    }

    @Test("what comes before a stream that depends on itself is heard, however it is cut")
    func beforeSelfDependency() throws {
        let bytes = Wire.clientStart + Wire.headers(on: 1, endStream: true) + Wire.priority(of: 3, on: 3)
        let sliced = try hear(bytes.map { [$0] }) { Peer(.server) }
        let whole = try hear([bytes]) { Peer(.server) }
        #expect(whole.error == sliced.error)
        #expect(whole == sliced)
    }

    @Test("a legal block of 60 KiB passes byte by byte", arguments: [1, 9, 1_000, 100_000])
    func largeBlock(size: Int) throws {
        var fields = Wire.request
        for index in 0..<60 { fields.append(("x-large-\(index)", String(repeating: "v", count: 950))) }
        let block = Wire.hpack(fields)
        #expect(block.count > 57_000)
        var bytes = Wire.headers(on: 1, block: Array(block[..<16_000]), endStream: true, endHeaders: false)
        for start in stride(from: 16_000, to: block.count, by: 16_000) {
            let end = min(start + 16_000, block.count)
            bytes += Wire.continuation(on: 1, Array(block[start..<end]), endHeaders: end == block.count)
        }
        let server = try Peer.startedServer()
        try server.receive(bytes, inPiecesOf: size)
        #expect(server.recorder.events(on: 1) == [.headers(1, .head, lines(fields), endStream: true)])
    }

    @Test("bytes that come in large pieces and those that come in small ones make the same body", arguments: 1...5)
    func bodySlices(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let body = pattern(100_000)
        var bytes = Wire.headers(on: 1)
        var sent = 0
        while sent < body.count {
            let count = min(Int.random(in: 1...16_384, using: &random), body.count - sent)
            bytes += Wire.data(on: 1, Array(body[sent..<sent + count]), endStream: sent + count == body.count)
            sent += count
        }
        var settings = SessionSettings()
        settings.streamWindowBytes = 200_000
        settings.connectionWindowBytes = 200_000
        let server = try Peer.startedServer(settings)
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Int.random(in: 1...9_000, using: &random)
            try server.receive(Array(rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
        #expect(server.recorder.body(on: 1) == body)
        #expect(server.recorder.events.last == .end(1))
    }
}
