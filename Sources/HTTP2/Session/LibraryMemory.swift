import CNghttp2

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The memory that libnghttp2 works in: free lists for its small, short-lived blocks (streams, frames, header
/// buffers), about eleven of them per request and leg. A tenth of the time of a request went to the general allocator
/// before.
///
/// One per worker, confined to its thread, shared by its sessions. Header blocks refer to buffers in it, so both
/// sessions and blocks keep it alive. Each block carries its size class in a header of 16 bytes; a list holds a
/// bounded number of blocks, so that memory goes back after a peak.
package final class LibraryMemory {
    /// What the library gets; copied into each session.
    let functions: UnsafeMutablePointer<nghttp2_mem>
    private let lists: UnsafeMutablePointer<FreeList>

    private static let granule = 32
    private static let classCount = 64
    private static let headerSize = 16
    private static let bytesPerListMax = 512 * 1_024
    /// The class of blocks that come from and go to the general allocator.
    private static let unlisted = classCount

    private struct FreeList {
        var head: UnsafeMutableRawPointer?
        var count: Int
    }

    package init() {
        lists = .allocate(capacity: Self.classCount)
        lists.initialize(repeating: FreeList(head: nil, count: 0), count: Self.classCount)
        functions = .allocate(capacity: 1)
        functions.initialize(
            to: nghttp2_mem(
                mem_user_data: lists,
                malloc: { size, lists in LibraryMemory.allocate(size, lists) },
                free: { block, lists in LibraryMemory.free(block, lists) },
                calloc: { count, size, lists in
                    let (total, overflow) = count.multipliedReportingOverflow(by: size)
                    guard !overflow, let block = LibraryMemory.allocate(total, lists) else { return nil }
                    memset(block, 0, total)
                    return block
                },
                realloc: { block, size, lists in LibraryMemory.reallocate(block, size, lists) }))
    }

    deinit {
        for index in 0..<Self.classCount {
            while let block = lists[index].head {
                lists[index].head = block.load(as: UnsafeMutableRawPointer?.self)
                releaseToSystem(block - Self.headerSize)
            }
        }
        lists.deallocate()
        functions.deallocate()
    }

    @inline(__always)
    private static func allocate(_ size: Int, _ user: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        let sizeClass = size <= 0 ? 0 : (size - 1) / granule
        guard sizeClass < classCount, let user else {
            guard let raw = malloc(size + headerSize) else { return nil }
            raw.storeBytes(of: unlisted, as: Int.self)
            return raw + headerSize
        }
        let lists = user.assumingMemoryBound(to: FreeList.self)
        if let block = lists[sizeClass].head {
            lists[sizeClass].head = block.load(as: UnsafeMutableRawPointer?.self)
            lists[sizeClass].count -= 1
            return block
        }
        guard let raw = malloc((sizeClass + 1) * granule + headerSize) else { return nil }
        raw.storeBytes(of: sizeClass, as: Int.self)
        return raw + headerSize
    }

    @inline(__always)
    private static func free(_ block: UnsafeMutableRawPointer?, _ user: UnsafeMutableRawPointer?) {
        guard let block else { return }
        let sizeClass = (block - headerSize).load(as: Int.self)
        if sizeClass < classCount, let user {
            let lists = user.assumingMemoryBound(to: FreeList.self)
            if lists[sizeClass].count * (sizeClass + 1) * granule < bytesPerListMax {
                block.storeBytes(of: lists[sizeClass].head, as: UnsafeMutableRawPointer?.self)
                lists[sizeClass].head = block
                lists[sizeClass].count += 1
                return
            }
        }
        releaseToSystem(block - headerSize)
    }

    private static func reallocate(
        _ block: UnsafeMutableRawPointer?, _ size: Int, _ user: UnsafeMutableRawPointer?
    ) -> UnsafeMutableRawPointer? {
        guard let block else { return allocate(size, user) }
        let sizeClass = (block - headerSize).load(as: Int.self)
        if sizeClass == unlisted, size > classCount * granule {
            return realloc(block - headerSize, size + headerSize).map { $0 + headerSize }
        }
        let capacity = sizeClass == unlisted ? classCount * granule : (sizeClass + 1) * granule
        if sizeClass != unlisted, size <= capacity { return block }
        guard let moved = allocate(size, user) else { return nil }
        memcpy(moved, block, min(size, capacity))
        free(block, user)
        return moved
    }
}

/// The general allocator's `free`, which the class's own hides.
private func releaseToSystem(_ block: UnsafeMutableRawPointer) {
    free(block)
}
