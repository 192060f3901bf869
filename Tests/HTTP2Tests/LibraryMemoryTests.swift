import CNghttp2
import TestSupport
import Testing

@testable import HTTP2

@Suite("The library's memory")
struct LibraryMemoryTests {
    /// The functions as libnghttp2 calls them.
    private struct Allocator {
        let memory = LibraryMemory()

        func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
            memory.functions.pointee.malloc(size, memory.functions.pointee.mem_user_data)
        }

        func allocateCleared(_ count: Int, _ size: Int) -> UnsafeMutableRawPointer? {
            memory.functions.pointee.calloc(count, size, memory.functions.pointee.mem_user_data)
        }

        func reallocate(_ block: UnsafeMutableRawPointer?, _ size: Int) -> UnsafeMutableRawPointer? {
            memory.functions.pointee.realloc(block, size, memory.functions.pointee.mem_user_data)
        }

        func free(_ block: UnsafeMutableRawPointer?) {
            memory.functions.pointee.free(block, memory.functions.pointee.mem_user_data)
        }
    }

    @Test("blocks of every size are their caller's own, aligned, and keep their bytes")
    func blocks() throws {
        let allocator = Allocator()
        let sizes = [0, 1, 31, 32, 33, 64, 2_015, 2_016, 2_047, 2_048, 2_049, 100_000]
        var blocks: [(UnsafeMutableRawPointer, Int)] = []
        for (index, size) in sizes.enumerated() {
            let block = try #require(allocator.allocate(size))
            #expect(UInt(bitPattern: block) % 16 == 0)
            block.initializeMemory(as: UInt8.self, repeating: UInt8(index), count: size)
            blocks.append((block, size))
        }
        for (index, (block, size)) in blocks.enumerated() {
            #expect(UnsafeRawBufferPointer(start: block, count: size).allSatisfy { $0 == UInt8(index) })
            allocator.free(block)
        }
        allocator.free(nil)
    }

    @Test("cleared blocks are clear, also when they were used before")
    func cleared() throws {
        let allocator = Allocator()
        for size in [100, 5_000] {
            let dirty = try #require(allocator.allocate(size))
            dirty.initializeMemory(as: UInt8.self, repeating: 0xff, count: size)
            allocator.free(dirty)
            let clean = try #require(allocator.allocateCleared(size / 10, 10))
            #expect(UnsafeRawBufferPointer(start: clean, count: size).allSatisfy { $0 == 0 })
            allocator.free(clean)
        }
    }

    @Test("a product that overflows gives no block")
    func overflow() {
        #expect(Allocator().allocateCleared(.max, 2) == nil)
    }

    @Test("blocks that are freed are handed out again")
    func reuse() throws {
        let allocator = Allocator()
        let first = try #require(allocator.allocate(40))
        allocator.free(first)
        #expect(allocator.allocate(60) == first)
        allocator.free(first)
    }

    @Test("a block that grows or shrinks keeps its bytes, over every border", arguments: 1...20)
    func reallocation(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let allocator = Allocator()
        var block: UnsafeMutableRawPointer?
        var expected: [UInt8] = []
        for _ in 0..<200 {
            let limit = [64, 2_100, 5_000].randomElement(using: &random) ?? 64
            let size = Int.random(in: 1...limit, using: &random)
            let moved = try #require(allocator.reallocate(block, size))
            let kept = min(size, expected.count)
            #expect(Array(UnsafeRawBufferPointer(start: moved, count: kept)) == Array(expected[..<kept]))
            expected = (0..<size).map { _ in UInt8.random(in: 0...255, using: &random) }
            expected.withUnsafeBytes {
                moved.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(moved), byteCount: size)
            }
            block = moved
        }
        allocator.free(block)
    }
}
