import Testing

@testable import HTTP2

@Suite("Header block")
struct HeaderBlockTests {
    private func text(_ bytes: UnsafeBufferPointer<UInt8>?) -> String? {
        bytes.map { String(decoding: $0, as: UTF8.self) }
    }

    @Test("fields keep their order, doubles included")
    func order() {
        let fields: Fields = [("b", "1"), ("a", "2"), ("b", "3"), ("", ""), ("c", "")]
        let block = HeaderBlock.make(fields)
        #expect(block.count == 5)
        #expect(block.textFields.map(\.name) == fields.map(\.name))
        #expect(block.textFields.map(\.value) == fields.map(\.value))
    }

    @Test("every name that is looked at is found, by its first value")
    func knownNames() {
        let names: [(String, HeaderName)] = [
            (":method", .method), (":scheme", .scheme), (":authority", .authority), (":path", .path),
            (":status", .status), ("content-type", .contentType), ("content-length", .contentLength), ("te", .te),
            ("host", .host), ("via", .via), ("x-forwarded-for", .forwardedFor), ("forwarded", .forwarded),
            ("grpc-status", .grpcStatus), ("grpc-message", .grpcMessage), ("grpc-timeout", .grpcTimeout),
            ("grpc-encoding", .grpcEncoding), ("grpc-retry-pushback-ms", .grpcRetryPushback),
            ("grpc-previous-rpc-attempts", .grpcPreviousAttempts), ("upgrade", .hopByHop), ("connection", .hopByHop),
            ("keep-alive", .hopByHop), ("http2-settings", .hopByHop), ("proxy-connection", .hopByHop),
            ("transfer-encoding", .hopByHop), ("proxy-authenticate", .hopByHop), ("proxy-authorization", .hopByHop),
        ]
        #expect(Set(names.map(\.1)).union([.other]) == Set(HeaderName.allCases))
        for (name, known) in names {
            let block = HeaderBlock.make([("x-first", "0"), (name, "1"), (name, "2")])
            #expect(text(block.value(known)) == "1", "\(name)")
            #expect(block.contains(known))
            for other in HeaderName.allCases where other != known && other != .other {
                #expect(!block.contains(other), "\(name) is not \(other)")
            }
        }
    }

    @Test("names of the same length are not mixed up", arguments: ["tx", "xia", "hosu", ":patx", "x-upgrade-x"])
    func unknownNames(name: String) {
        let block = HeaderBlock.make([(name, "1")])
        for known in HeaderName.allCases where known != .other { #expect(!block.contains(known)) }
    }

    @Test("names that may stand only once are noticed when they stand twice")
    func duplicates() {
        for name in ["te", "content-type", "grpc-timeout", "grpc-encoding", "host"] {
            #expect(!HeaderBlock.make([(name, "a")]).hasDuplicate)
            #expect(HeaderBlock.make([(name, "a"), ("x", "y"), (name, "a")]).hasDuplicate, "\(name)")
        }
        #expect(!HeaderBlock.make([("x-forwarded-for", "a"), ("x-forwarded-for", "b")]).hasDuplicate)
        #expect(!HeaderBlock.make([("cookie", "a"), ("cookie", "b")]).hasDuplicate)
    }

    @Test("replacing changes the first occurrence only, and nothing where there is none")
    func replace() {
        let block = HeaderBlock.make([("via", "a"), ("x", "y"), ("via", "b")])
        block.replace(.via, "longer than before".utf8)
        block.replace(.host, "nobody".utf8)
        #expect(block.textFields.map(\.value) == ["longer than before", "y", "b"])
        block.replace(.via, literal: "short")
        #expect(text(block.value(.via)) == "short")
        #expect(block.count == 3)
    }

    @Test("removing takes every field of a name and keeps the order of the rest")
    func remove() {
        let block = HeaderBlock.make([
            ("te", "trailers"), ("via", "1"), ("connection", "close"), ("x", "1"), ("via", "2"), (":path", "/"),
            ("y", "2"),
        ])
        block.remove(.via)
        block.remove(.hopByHop)
        #expect(block.textFields.map(\.name) == ["te", "x", ":path", "y"])
        #expect(!block.contains(.via))
        #expect(text(block.value(.path)) == "/")
        #expect(text(block.value(.te)) == "trailers")
        block.remove(.via)
        #expect(block.count == 4)
        block.append("via", literal: "3")
        #expect(text(block.value(.via)) == "3")
    }

    @Test("a block grows beyond its first capacity and its arena, and values stay where they are")
    func growth() {
        let block = HeaderBlock()
        var expected: [String] = []
        for index in 0..<500 {
            let value = String(repeating: "v", count: index * 7 % 1_500) + "\(index)"
            expected.append(value)
            if index % 3 == 0 {
                block.append("x-static", value.utf8)
            } else {
                block.append(name: "x-\(index)".utf8, value: Array(value.utf8))
            }
        }
        #expect(block.textFields.map(\.value) == expected)
    }

    @Test("a value may come from a collection that is no array")
    func lazyValue() {
        let block = HeaderBlock()
        block.append("x", "abc".utf8.lazy.map { $0 &+ 1 })
        #expect(block.textFields.map(\.value) == ["bcd"])
    }

    @Test("an emptied block is as new")
    func removeAll() {
        let block = HeaderBlock.make([("te", "a"), ("te", "b"), ("x", String(repeating: "x", count: 5_000))])
        block.removeAll()
        #expect(block.count == 0)
        #expect(!block.hasDuplicate && !block.isTruncated && block.listSize == 0 && block.receivedCount == 0)
        #expect(!block.contains(.te))
        block.append("te", literal: "trailers")
        #expect(block.textFields.map(\.value) == ["trailers"])
        #expect(!block.hasDuplicate)
    }

    @Test("the status is three digits or nothing")
    func status() {
        let table: [(String, Int?)] = [
            ("200", 200), ("000", 0), ("999", 999), ("20", nil), ("2000", nil), ("2x0", nil), ("", nil), ("-20", nil),
        ]
        for (value, status) in table { #expect(HeaderBlock.make([(":status", value)]).status == status, "\(value)") }
        #expect(HeaderBlock.make([("x", "200")]).status == nil)
    }

    @Test("a pool hands out emptied blocks and keeps a bounded number")
    func pool() {
        let pool = HeaderBlockPool(capacity: 2)
        let blocks = (0..<3).map { _ in pool.take() }
        for block in blocks {
            block.append("x", literal: "y")
            pool.give(block)
        }
        let again = (0..<3).map { _ in pool.take() }
        #expect(again.allSatisfy { $0.count == 0 })
        #expect(again.filter { block in blocks.contains { $0 === block } }.count == 2)
    }
}
