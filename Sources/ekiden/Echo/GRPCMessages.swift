import NIOCore

/// The framing of gRPC messages (gRPC over HTTP/2, Length-Prefixed-Message): a flag, four bytes of length, the message.
struct GRPCMessageReader {
    private var buffer = ByteBuffer()

    /// Longest message taken.
    static let lengthMax = 64 * 1024 * 1024

    enum Problem: Error {
        case compressed
        case tooLong(Int)
    }

    /// Whether bytes of an unfinished message are left.
    var isEmpty: Bool { buffer.readableBytes == 0 }

    mutating func append(_ bytes: ByteBuffer) {
        var bytes = bytes
        if buffer.readableBytes == 0 {
            buffer = bytes
        } else {
            buffer.discardReadBytes()
            buffer.writeBuffer(&bytes)
        }
    }

    /// The next whole message, or nil when it has not come yet.
    mutating func next() throws(Problem) -> [UInt8]? {
        guard let flag: UInt8 = buffer.getInteger(at: buffer.readerIndex),
            let length: UInt32 = buffer.getInteger(at: buffer.readerIndex + 1)
        else { return nil }
        if flag != 0 { throw .compressed }
        if length > Self.lengthMax { throw .tooLong(Int(length)) }
        guard buffer.readableBytes >= 5 + Int(length) else { return nil }
        buffer.moveReaderIndex(forwardBy: 5)
        return buffer.readBytes(length: Int(length))
    }

    /// A message in its frame.
    static func frame(_ message: [UInt8]) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(5 + message.count)
        buffer.writeInteger(UInt8(0))
        buffer.writeInteger(UInt32(message.count))
        buffer.writeBytes(message)
        return buffer
    }
}
