/// Reads frame headers out of the byte stream in front of libnghttp2.
///
/// The library's callbacks do not see every frame (unknown types, frames on closed streams, frames it ignores), so
/// whoever wants to count, limit or forbid has to look for himself. Nine bytes per frame; payloads are skipped, except
/// the few bytes that tell a stream's priority dependency.
struct FrameScanner {
    /// A frame header (RFC 9113, 4.1).
    struct Frame {
        var length: Int
        var type: UInt8
        var flags: UInt8
        var streamID: Int32
        /// Where the frame begins in the scanned bytes; negative when its first bytes came with an earlier read.
        var start: Int

        func has(_ flag: UInt8) -> Bool { flags & flag != 0 }
    }

    enum Step {
        /// The header of a frame was read.
        case frame(Frame)
        /// A frame names the stream that its priority depends on (RFC 7540, 5.3.1).
        case dependency(streamID: Int32, on: Int32)
        /// The bytes are used up.
        case needMoreBytes
    }

    enum FrameType {
        static let data: UInt8 = 0
        static let headers: UInt8 = 1
        static let priority: UInt8 = 2
        static let resetStream: UInt8 = 3
        static let settings: UInt8 = 4
        static let pushPromise: UInt8 = 5
        static let ping: UInt8 = 6
        static let goAway: UInt8 = 7
        static let windowUpdate: UInt8 = 8
        static let continuation: UInt8 = 9
    }

    enum Flag {
        static let endStream: UInt8 = 0x1
        static let ack: UInt8 = 0x1
        static let endHeaders: UInt8 = 0x4
        static let padded: UInt8 = 0x8
        static let priority: UInt8 = 0x20
    }

    static let prefaceLength = 24
    private static let headerLength = 9

    /// Bytes of the client's preface still to skip.
    private var prefaceLeft: Int
    /// The header that is being read: its bytes so far, as one number.
    private var header: (high: UInt64, low: UInt8) = (0, 0)
    private var headerBytes = 0
    private var payloadLeft = 0
    /// Payload bytes in front of the dependency; nil when the frame has none.
    private var dependencyAfter: Int?
    private var dependencyBytes = 0
    private var dependency: UInt32 = 0
    private var current = Frame(length: 0, type: 0, flags: 0, streamID: 0, start: 0)

    init(expectsPreface: Bool) {
        prefaceLeft = expectsPreface ? Self.prefaceLength : 0
    }

    /// Whether a frame of a header block has begun and not ended.
    var isInsideHeaderFrame: Bool {
        payloadLeft > 0 && (current.type == FrameType.headers || current.type == FrameType.continuation)
    }

    /// Goes on from `position` to the next thing worth telling.
    mutating func next(in bytes: UnsafeRawBufferPointer, position: inout Int) -> Step {
        let count = bytes.count
        if prefaceLeft > 0 {
            let part = min(prefaceLeft, count - position)
            prefaceLeft -= part
            position += part
        }
        while position < count {
            if payloadLeft > 0 {
                if dependencyAfter != nil, let step = readDependency(bytes, &position) { return step }
                let part = min(payloadLeft, count - position)
                payloadLeft -= part
                position += part
                continue
            }
            if headerBytes == 0, count - position >= Self.headerLength {
                let start = position
                position += Self.headerLength
                return .frame(
                    begin(
                        length: Int(bytes[start]) << 16 | Int(bytes[start + 1]) << 8 | Int(bytes[start + 2]),
                        type: bytes[start + 3], flags: bytes[start + 4],
                        streamID: UInt32(bytes[start + 5]) << 24 | UInt32(bytes[start + 6]) << 16
                            | UInt32(bytes[start + 7]) << 8 | UInt32(bytes[start + 8]),
                        start: start))
            }
            if let frame = readHeaderByte(bytes[position], at: position, &position) { return .frame(frame) }
        }
        return .needMoreBytes
    }

    /// A header that is cut by the end of a read is put together byte by byte.
    private mutating func readHeaderByte(_ byte: UInt8, at index: Int, _ position: inout Int) -> Frame? {
        position += 1
        if headerBytes < 8 {
            header.high = header.high << 8 | UInt64(byte)
        } else {
            header.low = byte
        }
        headerBytes += 1
        guard headerBytes == Self.headerLength else { return nil }
        headerBytes = 0
        let high = header.high
        header = (0, 0)
        return begin(
            length: Int(high >> 40), type: UInt8(truncatingIfNeeded: high >> 32),
            flags: UInt8(truncatingIfNeeded: high >> 24),
            streamID: UInt32(truncatingIfNeeded: high & 0xff_ffff) << 8 | UInt32(byte),
            start: index - (Self.headerLength - 1))
    }

    private mutating func begin(length: Int, type: UInt8, flags: UInt8, streamID: UInt32, start: Int) -> Frame {
        current = Frame(
            length: length, type: type, flags: flags, streamID: Int32(bitPattern: streamID & 0x7fff_ffff), start: start)
        payloadLeft = length
        dependencyBytes = 0
        dependency = 0
        switch type {
        case FrameType.priority where length == 5:
            dependencyAfter = 0
        case FrameType.headers where current.has(Flag.priority):
            let after = current.has(Flag.padded) ? 1 : 0
            dependencyAfter = length >= after + 5 ? after : nil
        default:
            dependencyAfter = nil
        }
        return current
    }

    private mutating func readDependency(_ bytes: UnsafeRawBufferPointer, _ position: inout Int) -> Step? {
        while position < bytes.count, let after = dependencyAfter {
            payloadLeft -= 1
            let byte = bytes[position]
            position += 1
            if after > 0 {
                dependencyAfter = after - 1
                continue
            }
            dependency = dependency << 8 | UInt32(byte)
            dependencyBytes += 1
            if dependencyBytes == 4 {
                dependencyAfter = nil
                return .dependency(streamID: current.streamID, on: Int32(bitPattern: dependency & 0x7fff_ffff))
            }
        }
        return nil
    }
}
