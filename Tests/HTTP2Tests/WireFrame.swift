/// A frame as it stands on the wire (RFC 9113, 4.1), written and read here without the library under test.
struct WireFrame: Equatable {
    var type: UInt8
    var flags: UInt8 = 0
    var streamID: Int32 = 0
    var payload: [UInt8] = []

    static let data: UInt8 = 0
    static let headers: UInt8 = 1
    static let priority: UInt8 = 2
    static let resetStream: UInt8 = 3
    static let settings: UInt8 = 4
    static let ping: UInt8 = 6
    static let goAway: UInt8 = 7
    static let windowUpdate: UInt8 = 8
    static let continuation: UInt8 = 9

    static let endStream: UInt8 = 0x1
    static let ack: UInt8 = 0x1
    static let endHeaders: UInt8 = 0x4
    static let padded: UInt8 = 0x8
    static let hasPriority: UInt8 = 0x20

    var bytes: [UInt8] {
        let length = payload.count
        return [UInt8(length >> 16), UInt8(length >> 8 & 0xff), UInt8(length & 0xff), type, flags]
            + bigEndian(UInt32(bitPattern: streamID)) + payload
    }

    /// The last four bytes of the payload: the error code of RST_STREAM; of GOAWAY without debug data, too.
    var errorCode: UInt32 {
        payload.suffix(4).reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// The frames of a byte stream that holds whole ones; a client's preface is skipped.
    static func read(_ bytes: [UInt8]) -> [WireFrame] {
        var rest = bytes[...]
        if rest.starts(with: preface) { rest = rest.dropFirst(preface.count) }
        var frames: [WireFrame] = []
        while rest.count >= 9 {
            let header = Array(rest.prefix(9))
            let length = Int(header[0]) << 16 | Int(header[1]) << 8 | Int(header[2])
            let id = header[5...].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } & 0x7fff_ffff
            frames.append(
                WireFrame(
                    type: header[3], flags: header[4], streamID: Int32(bitPattern: id),
                    payload: Array(rest.dropFirst(9).prefix(length))))
            rest = rest.dropFirst(9 + length)
        }
        return frames
    }

    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
}

typealias Fields = [(name: String, value: String)]

/// The frames of the tests, as bytes.
enum Wire {
    static let clientStart = WireFrame.preface + settings()
    static let settingsAck = WireFrame(type: WireFrame.settings, flags: WireFrame.ack).bytes
    static let request: Fields = [
        (":method", "POST"), (":scheme", "http"), (":path", "/echo.Echo/Say"), (":authority", "echo.local"),
        ("content-type", "application/grpc"), ("te", "trailers"),
    ]
    static let responseHead: Fields = [(":status", "200"), ("content-type", "application/grpc")]

    static func settings(_ entries: [(id: UInt16, value: UInt32)] = []) -> [UInt8] {
        let payload = entries.flatMap { [UInt8($0.id >> 8), UInt8($0.id & 0xff)] + bigEndian($0.value) }
        return WireFrame(type: WireFrame.settings, payload: payload).bytes
    }

    static func headers(
        on id: Int32, _ fields: Fields = request, endStream: Bool = false, endHeaders: Bool = true
    ) -> [UInt8] {
        headers(on: id, block: hpack(fields), endStream: endStream, endHeaders: endHeaders)
    }

    static func headers(
        on id: Int32, block: [UInt8], endStream: Bool = false, endHeaders: Bool = true
    ) -> [UInt8] {
        let flags = (endStream ? WireFrame.endStream : 0) | (endHeaders ? WireFrame.endHeaders : 0)
        return WireFrame(type: WireFrame.headers, flags: flags, streamID: id, payload: block).bytes
    }

    static func continuation(on id: Int32, _ block: [UInt8] = [], endHeaders: Bool = false) -> [UInt8] {
        WireFrame(
            type: WireFrame.continuation, flags: endHeaders ? WireFrame.endHeaders : 0, streamID: id, payload: block
        ).bytes
    }

    static func data(on id: Int32, _ bytes: [UInt8] = [], endStream: Bool = false, padding: UInt8? = nil) -> [UInt8] {
        var frame = WireFrame(
            type: WireFrame.data, flags: endStream ? WireFrame.endStream : 0, streamID: id, payload: bytes)
        if let padding {
            frame.flags |= WireFrame.padded
            frame.payload = [padding] + bytes + [UInt8](repeating: 0, count: Int(padding))
        }
        return frame.bytes
    }

    static func reset(_ id: Int32, _ code: UInt32) -> [UInt8] {
        WireFrame(type: WireFrame.resetStream, streamID: id, payload: bigEndian(code)).bytes
    }

    static func ping(ack: Bool = false) -> [UInt8] {
        WireFrame(
            type: WireFrame.ping, flags: ack ? WireFrame.ack : 0, payload: [UInt8](repeating: 7, count: 8)
        ).bytes
    }

    static func goAway(last: Int32, _ code: UInt32, debug: String = "") -> [UInt8] {
        WireFrame(
            type: WireFrame.goAway,
            payload: bigEndian(UInt32(bitPattern: last)) + bigEndian(code) + Array(debug.utf8)
        ).bytes
    }

    static func windowUpdate(on id: Int32, by increment: UInt32) -> [UInt8] {
        WireFrame(type: WireFrame.windowUpdate, streamID: id, payload: bigEndian(increment)).bytes
    }

    static func priority(of id: Int32, on parent: Int32) -> [UInt8] {
        WireFrame(
            type: WireFrame.priority, streamID: id, payload: bigEndian(UInt32(bitPattern: parent)) + [15]
        ).bytes
    }

    /// Fields as HPACK literals without indexing, Huffman coding or names from a table (RFC 7541, 6.2.2).
    /// - Parameter representation: `0x10` for fields that are never indexed (6.2.3).
    static func hpack(_ fields: Fields, representation: UInt8 = 0x00) -> [UInt8] {
        fields.flatMap { [representation] + string($0.name) + string($0.value) }
    }

    /// One field that goes into the decoder's dynamic table, newest place (index 62).
    static func hpackIndexed(_ name: String, _ value: String) -> [UInt8] {
        [0x40] + string(name) + string(value)
    }

    private static func string(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        if bytes.count < 127 { return [UInt8(bytes.count)] + bytes }
        var length: [UInt8] = [127]
        var rest = bytes.count - 127
        while rest >= 128 {
            length.append(UInt8(rest % 128) | 0x80)
            rest /= 128
        }
        return length + [UInt8(rest)] + bytes
    }
}

private func bigEndian(_ number: UInt32) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
}
