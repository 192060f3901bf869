import NIOCore
import NIOEmbedded
import Testing

@testable import DataPlane

@Suite("What a new connection speaks")
struct ProtocolGateTests {
    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    /// A channel with a gate in it, and what the gate refused.
    private final class Bench {
        let channel: EmbeddedChannel
        private(set) var refusals: [ProtocolGate.Refusal] = []

        init() throws {
            channel = EmbeddedChannel()
            try channel.pipeline.syncOperations.addHandler(ProtocolGate { [unowned self] in refusals.append($0) })
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        }

        deinit {
            _ = try? channel.finish(acceptAlreadyClosed: true)
        }

        func receive(_ bytes: some Sequence<UInt8>) throws {
            try channel.writeInbound(ByteBuffer(bytes: bytes))
        }

        /// Everything that went on into the pipeline.
        func passed() throws -> [UInt8] {
            var bytes: [UInt8] = []
            while let buffer = try channel.readInbound(as: ByteBuffer.self) { bytes += buffer.readableBytesView }
            return bytes
        }

        func answer() throws -> [UInt8] {
            var bytes: [UInt8] = []
            while let buffer = try channel.readOutbound(as: ByteBuffer.self) { bytes += buffer.readableBytesView }
            return bytes
        }

        var isGateOpen: Bool {
            (try? channel.pipeline.syncOperations.handler(type: ProtocolGate.self)) == nil
        }
    }

    @Test("a preface passes with what follows it, and the gate is gone")
    func preface() throws {
        let bench = try Bench()
        try bench.receive(Self.preface + [1, 2, 3])
        #expect(try bench.passed() == Self.preface + [1, 2, 3])
        #expect(bench.isGateOpen)
        try bench.receive([4])
        #expect(try bench.passed() == [4])
        #expect(bench.refusals.isEmpty)
    }

    @Test("a preface may be cut anywhere", arguments: 1..<24)
    func slicedPreface(cut: Int) throws {
        let bench = try Bench()
        try bench.receive(Self.preface[..<cut])
        #expect(try bench.passed() == [])
        #expect(!bench.isGateOpen)
        try bench.receive(Self.preface[cut...] + [9])
        #expect(try bench.passed() == Self.preface + [9])
        #expect(try bench.answer() == [])
        #expect(bench.isGateOpen)
    }

    @Test("a preface may come byte by byte")
    func dribbledPreface() throws {
        let bench = try Bench()
        for byte in Self.preface { try bench.receive([byte]) }
        #expect(try bench.passed() == Self.preface)
        #expect(bench.isGateOpen)
    }

    private static let http1Lines = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.0\n\n", "POST /echo.Echo/Say HTTP/1.1\r\n",
        "PRI * HTTP/1.1\r\n\r\n",
        "P / HTTP/1.1\r\n",
    ]

    @Test("HTTP/1 gets a 505 with a sentence", arguments: http1Lines)
    func http1(text: String) throws {
        for pieces in [[Array(text.utf8)], text.utf8.map { [$0] }] {
            let bench = try Bench()
            for piece in pieces where bench.refusals.isEmpty { try bench.receive(piece) }
            let answer = String(decoding: try bench.answer(), as: UTF8.self)
            #expect(answer.hasPrefix("HTTP/1.1 505 HTTP Version Not Supported\r\n"))
            let parts = answer.split(separator: "\r\n\r\n", maxSplits: 1)
            let body = try #require(parts.last)
            #expect(answer.contains("content-length: \(body.utf8.count)\r\n"))
            #expect(body.contains("HTTP/2"))
            #expect(bench.refusals == [.http1])
            #expect(try bench.passed() == [])
        }
    }

    @Test("a TLS ClientHello gets an alert")
    func tls() throws {
        let bench = try Bench()
        try bench.receive([0x16, 0x03, 0x01, 0x02, 0x00, 0x01])
        #expect(try bench.answer() == [0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 70])
        #expect(bench.refusals == [.tls])
    }

    private static let otherStarts: [[UInt8]] = [
        [0x00, 0x01, 0x02], [0xff], Array("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".utf8), Array("SSH-2.0-OpenSSH\r\n".utf8),
        Array("HELO me\n".utf8), Array("GET /\r\n".utf8), Array("PRI *\u{1}".utf8),
        [UInt8](repeating: 0x41, count: 8_193),
    ]

    @Test("anything else gets SETTINGS and GOAWAY(PROTOCOL_ERROR)", arguments: otherStarts)
    func other(bytes: [UInt8]) throws {
        let bench = try Bench()
        try bench.receive(bytes)
        #expect(
            try bench.answer() == [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
        #expect(bench.refusals == [.other])
        #expect(try bench.passed() == [])
    }

    @Test("a long line is given the time to end")
    func longLine() throws {
        let bench = try Bench()
        try bench.receive("GET /".utf8)
        try bench.receive([UInt8](repeating: 0x61, count: 8_000))
        #expect(bench.refusals.isEmpty)
        try bench.receive(" HTTP/1.1\r\n".utf8)
        #expect(bench.refusals == [.http1])
    }

    @Test("after a refusal nothing is heard, and the connection closes a second later")
    func afterRefusal() throws {
        let bench = try Bench()
        try bench.receive("GET / HTTP/1.1\r\n".utf8)
        if bench.channel.isActive { try bench.receive("host: a\r\n\r\n".utf8) }
        #expect(bench.refusals == [.http1])
        bench.channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(!bench.channel.isActive)
    }
}

extension ProtocolGate.Refusal: CustomTestStringConvertible {
    var testDescription: String { "\(self)" }
}
