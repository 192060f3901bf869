package import NIOCore

/// The body of one direction of an exchange on its way from the leg that receives it to the leg that sends it.
///
/// Bytes go in as slices of the read buffer (small ones are gathered into a buffer of the queue's own, so that a byte
/// never pins a whole read), and come out once, copied into a connection's output. As long as the queue is
/// *replayable* what was read stays held, and ``rewind()`` starts over for another attempt.
///
/// Confined to one thread.
package final class BodyQueue {
    private var chunks: ContiguousArray<ByteBuffer> = []
    /// The chunk that is read next, and how far it has been read.
    private var head = 0
    private var headOffset = 0
    /// Whether the last chunk is the queue's own and may be written to.
    private var lastIsOwn = false
    /// An emptied buffer of the queue's own, for the next small bytes.
    private var spare: ByteBuffer?

    /// Bytes that wait to be read.
    package private(set) var pending = 0
    /// Bytes in memory: those that wait and those held for a replay.
    package private(set) var held = 0
    /// Bytes that were read and are held for a replay.
    package var retained: Int { held - pending }
    /// No bytes will follow those that wait.
    package private(set) var isFinished = false
    /// Whether everything from the first byte on is still held.
    package private(set) var isReplayable = false
    /// Trailers to send after the last byte; set before or together with ``finish(trailers:)``.
    package private(set) var trailers: HeaderBlock?

    private var replayLimit = 0
    private var wasRead = false
    /// What takes the place of a chunk that was read. (`ByteBuffer()` belongs to the whole process.)
    private let empty = ByteBufferAllocator().buffer(capacity: 1)

    /// Whether an attempt can begin at the first byte: all of it is held, or nothing was read yet.
    package var canStartOver: Bool { isReplayable || !wasRead }

    /// Bytes below this are gathered; from it on the slice is kept.
    private static let gatherBelow = 2048
    private static let ownCapacity = 2048

    package init() {}

    /// Begins to hold what is read, up to this many bytes. Call before the first byte.
    package func holdForReplay(limit: Int) {
        isReplayable = true
        replayLimit = limit
    }

    /// Adds bytes that lie in `buffer`.
    func append(_ bytes: UnsafeRawBufferPointer, in buffer: ByteBuffer) {
        let count = bytes.count
        if count == 0 { return }
        if count < Self.gatherBelow {
            gather(bytes)
        } else {
            let slice = buffer.withUnsafeReadableBytes { whole -> ByteBuffer? in
                guard let start = bytes.baseAddress, let base = whole.baseAddress else { return nil }
                return buffer.getSlice(at: buffer.readerIndex + (start - base), length: count)
            }
            guard let slice else { return gather(bytes) }
            chunks.append(slice)
            lastIsOwn = false
        }
        noteAppended(count)
    }

    /// Adds a buffer that the caller made.
    package func append(_ buffer: ByteBuffer) {
        if buffer.readableBytes == 0 { return }
        chunks.append(buffer)
        lastIsOwn = false
        noteAppended(buffer.readableBytes)
    }

    /// Says that the body is complete.
    package func finish(trailers: HeaderBlock? = nil) {
        isFinished = true
        if let trailers { self.trailers = trailers }
    }

    /// Lets go of what waits: nobody will read it.
    /// - Returns: how many bytes that were.
    package func dropPending() -> Int {
        let count = pending
        isReplayable = false
        pending = 0
        held = 0
        recycle()
        return count
    }

    /// Gives up the possibility of a replay: what was read is let go.
    package func commit() {
        guard isReplayable else { return }
        isReplayable = false
        dropRead()
    }

    /// Starts over from the first byte. Only while ``isReplayable``.
    package func rewind() {
        precondition(canStartOver, "rewind of a body that is not held")
        if !wasRead { return }
        wasRead = false
        head = 0
        headOffset = 0
        pending = held
    }

    /// The whole body again, for a second reader; the bytes are shared. Only when it is finished without trailers and
    /// ``canStartOver``.
    package func copyWhole() -> BodyQueue {
        precondition(isFinished && canStartOver && trailers == nil, "a copy of a body that is not held")
        let copy = BodyQueue()
        for chunk in chunks { copy.append(chunk) }
        copy.finish()
        return copy
    }

    /// Forgets everything and keeps the memory for the next exchange. The trailers are handed back.
    package func reset() -> HeaderBlock? {
        recycle()
        pending = 0
        held = 0
        isFinished = false
        isReplayable = false
        wasRead = false
        defer { trailers = nil }
        return trailers
    }

    /// Copies the next `count` bytes to the end of `output`. `count` is at most ``pending``.
    func read(_ count: Int, into output: inout ByteBuffer) {
        precondition(count <= pending)
        if count > 0 { wasRead = true }
        var left = count
        while left > 0 {
            if headOffset == chunks[head].readableBytes { nextChunk() }
            let part = min(chunks[head].readableBytes - headOffset, left)
            chunks[head].withUnsafeReadableBytes { bytes in
                _ = output.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[headOffset..<headOffset + part]))
            }
            left -= part
            headOffset += part
        }
        pending -= count
        if !isReplayable {
            held -= count
            if pending == 0 { recycle() }
        }
    }

    /// Takes everything that waits as one buffer: for readers that are no HTTP/2 leg.
    package func readAll() -> ByteBuffer {
        var all = ByteBufferAllocator().buffer(capacity: max(pending, 1))
        read(pending, into: &all)
        return all
    }

    // MARK: Private

    private func gather(_ bytes: UnsafeRawBufferPointer) {
        if !lastIsOwn || chunks.isEmpty || chunks[chunks.count - 1].writableBytes < bytes.count {
            chunks.append(spare ?? ByteBufferAllocator().buffer(capacity: Self.ownCapacity))
            spare = nil
            lastIsOwn = true
        }
        chunks[chunks.count - 1].writeBytes(bytes)
    }

    private func noteAppended(_ count: Int) {
        pending += count
        held += count
        if isReplayable, held > replayLimit { commit() }
    }

    /// Goes on to the next chunk. A chunk that was read to its end is left only when there is a next one: being the
    /// queue's own it may still grow.
    private func nextChunk() {
        head += 1
        headOffset = 0
        guard !isReplayable else { return }
        chunks[head - 1] = empty
        if head >= 64 {
            chunks.removeFirst(head)
            head = 0
        }
    }

    /// Lets go of all chunks, but keeps an own one for the next small bytes.
    private func recycle() {
        if lastIsOwn, spare == nil, var own = chunks.popLast(), own.capacity <= Self.ownCapacity * 2 {
            chunks.removeAll(keepingCapacity: true)
            own.clear()
            spare = own
        } else {
            chunks.removeAll(keepingCapacity: true)
        }
        lastIsOwn = false
        head = 0
        headOffset = 0
    }

    /// Lets go of the chunks before the read position.
    private func dropRead() {
        held = pending
        if pending == 0 {
            recycle()
        } else if head > 0 {
            chunks.removeFirst(head)
            head = 0
        }
    }
}
