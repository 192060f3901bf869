import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The bytes that bodies are made of: each call has its own, so that a byte of another call, lost or moved is seen.
enum Pattern {
    private static let starts = 65_536
    private static let longest = 262_144

    private static let bytes: ByteBuffer = {
        let chance = Chance(seed: 1)
        var buffer = ByteBuffer()
        for _ in 0..<(starts + longest) / 8 { buffer.writeInteger(chance.number()) }
        return buffer
    }()

    private static func start(_ call: Int) -> Int { call &* 977 % starts }

    static func slice(of call: Int, at offset: Int, count: Int) -> ByteBuffer {
        bytes.getSlice(at: start(call) + offset, length: count) ?? ByteBuffer()
    }

    static func matches(_ buffer: ByteBuffer, call: Int, at offset: Int) -> Bool {
        let count = buffer.readableBytes
        guard offset + count <= longest else { return false }
        return bytes.withUnsafeReadableBytes { all in
            buffer.withUnsafeReadableBytes { some in
                guard let all = all.baseAddress, let some = some.baseAddress else { return count == 0 }
                return memcmp(all + start(call) + offset, some, count) == 0
            }
        }
    }
}
