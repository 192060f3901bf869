import TestSupport
import Testing

@testable import HTTP2

@Suite("Frame scanner")
struct FrameScannerTests {
    private enum Seen: Equatable {
        case frame(length: Int, type: UInt8, flags: UInt8, id: Int32, start: Int)
        case dependency(Int32, on: Int32)
    }

    /// Scans pieces; places are counted from the first byte of all.
    private func scan(_ pieces: [[UInt8]], expectsPreface: Bool) -> [Seen] {
        var scanner = FrameScanner(expectsPreface: expectsPreface)
        var seen: [Seen] = []
        var offset = 0
        for piece in pieces {
            piece.withUnsafeBytes { bytes in
                var position = 0
                while true {
                    switch scanner.next(in: bytes, position: &position) {
                    case .needMoreBytes:
                        #expect(position == bytes.count)
                        return
                    case .frame(let frame):
                        seen.append(
                            .frame(
                                length: frame.length, type: frame.type, flags: frame.flags, id: frame.streamID,
                                start: offset + frame.start))
                    case .dependency(let id, let parent):
                        seen.append(.dependency(id, on: parent))
                    }
                }
            }
            offset += piece.count
        }
        return seen
    }

    private static let frames: [WireFrame] = [
        WireFrame(type: 4),
        WireFrame(type: 2, streamID: 3, payload: [0x80, 0, 0, 9, 255]),
        WireFrame(type: 1, flags: 0x20 | 0x4, streamID: 7, payload: [0, 0, 1, 2, 3, 0x82]),
        WireFrame(type: 1, flags: 0x20 | 0x8, streamID: 9, payload: [2, 0, 0, 0, 5, 3, 0x82, 0, 0]),
        // Too short for what its flags promise.
        WireFrame(type: 1, flags: 0x20, streamID: 11, payload: [0, 0, 0]),
        WireFrame(type: 2, streamID: 13, payload: [0, 0, 0, 1]),
        WireFrame(type: 0, flags: 1, streamID: 0x7fff_ffff, payload: pattern(300)),
        WireFrame(type: 0xfe, flags: 0xff, streamID: 1),
    ]

    private static let expected: [Seen] = {
        var seen: [Seen] = []
        var start = 0
        for frame in frames {
            seen.append(
                .frame(
                    length: frame.payload.count, type: frame.type, flags: frame.flags, id: frame.streamID, start: start)
            )
            start += 9 + frame.payload.count
            switch frame.streamID {
            case 3: seen.append(.dependency(3, on: 9))
            case 7: seen.append(.dependency(7, on: 0x102))
            case 9: seen.append(.dependency(9, on: 5))
            default: break
            }
        }
        return seen
    }()

    private static func shifted(_ seen: [Seen], by count: Int) -> [Seen] {
        seen.map { item in
            if case .frame(let length, let type, let flags, let id, let start) = item {
                return .frame(length: length, type: type, flags: flags, id: id, start: start + count)
            }
            return item
        }
    }

    @Test("every frame is seen with its place, whole and byte by byte", arguments: [false, true])
    func frames(withPreface: Bool) {
        let bytes = (withPreface ? WireFrame.preface : []) + Self.frames.flatMap(\.bytes)
        let expected = Self.shifted(Self.expected, by: withPreface ? WireFrame.preface.count : 0)
        for pieces in [[bytes], bytes.map { [$0] }] {
            #expect(scan(pieces, expectsPreface: withPreface) == expected)
        }
    }

    @Test("a cut at any offset changes nothing")
    func everyCut() {
        let bytes = WireFrame.preface + Self.frames.flatMap(\.bytes)
        let expected = Self.shifted(Self.expected, by: WireFrame.preface.count)
        for cut in 0...bytes.count {
            let seen = scan([Array(bytes[..<cut]), Array(bytes[cut...])], expectsPreface: true)
            #expect(seen == expected, "cut at \(cut)")
        }
    }

    @Test("three parts, cut at random", arguments: 1...20)
    func randomCuts(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let bytes = Self.frames.flatMap(\.bytes)
        var pieces: [[UInt8]] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Int.random(in: 0...40, using: &random)
            pieces.append(Array(rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
        #expect(scan(pieces, expectsPreface: false) == Self.expected)
    }

    @Test("the reserved bit is no part of an id, and the largest length is read")
    func extremes() {
        let header: [UInt8] = [0xff, 0xff, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff]
        for pieces in [[header], header.map { [$0] }] {
            #expect(
                scan(pieces, expectsPreface: false)
                    == [.frame(length: 0xff_ffff, type: 0, flags: 0, id: .max, start: 0)])
        }
    }

    @Test(
        "it knows whether a frame of a header block has begun and not ended",
        arguments: [
            (1, true), (9, true), (0, false), (6, false),
        ] as [(UInt8, Bool)])
    func insideHeaderFrame(type: UInt8, isHeaderFrame: Bool) {
        let bytes = WireFrame.preface + WireFrame(type: type, streamID: 1, payload: pattern(8)).bytes
        for count in 0...bytes.count {
            var scanner = FrameScanner(expectsPreface: true)
            bytes[..<count].withUnsafeBytes { bytes in
                var position = 0
                while case .frame = scanner.next(in: bytes, position: &position) {}
            }
            let isInside = count >= 24 + 9 && count < bytes.count
            #expect(scanner.isInsideHeaderFrame == (isInside && isHeaderFrame), "after \(count) bytes")
        }
    }
}
