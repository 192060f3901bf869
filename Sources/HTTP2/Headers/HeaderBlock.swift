import CNghttp2

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// One header or trailer block, kept in the form in which libnghttp2 takes it back: decoded once, passed on without a
/// copy.
///
/// Names and values that were received are references into the decoder's counted buffers; those that Ekiden adds live
/// in the block's own arena. A block that was handed to a session for sending must live until that session has sent
/// it; the ``Stream`` it was sent on holds it. Blocks are reused through a ``HeaderBlockPool``.
///
/// Confined to one thread, like the session that made it.
package final class HeaderBlock {
    /// Fields in wire order, ready for `nghttp2_submit_*`.
    private(set) var fields: UnsafeMutablePointer<nghttp2_nv>
    /// The counted buffers behind each field: name and value, nil for what the arena or the program text holds.
    private var references: UnsafeMutablePointer<(OpaquePointer?, OpaquePointer?)>
    private var names: UnsafeMutablePointer<HeaderName>
    private var capacity: Int
    package private(set) var count = 0
    /// Where each known name stands first; -1 where it is absent.
    private let positions: UnsafeMutablePointer<Int32>
    private var arena: [UnsafeMutableRawBufferPointer] = []
    /// Bytes used of the last chunk.
    private var arenaUsed = 0

    /// Size as RFC 9113, 6.5.2 counts it: name + value + 32 for each field, those dropped over the limit included.
    package private(set) var listSize = 0
    /// Fields received, those dropped over the limit included.
    package private(set) var receivedCount = 0
    /// Whether the block was over the soft limit, so that fields are missing from it.
    package private(set) var isTruncated = false
    /// A name that may stand only once stood twice.
    package private(set) var hasDuplicate = false

    private static let arenaChunk = 512

    /// Where the decoder's buffers live; nil for blocks that are only ever sent.
    private let memory: LibraryMemory?

    package convenience init() {
        self.init(memory: nil)
    }

    init(memory: LibraryMemory?) {
        self.memory = memory
        capacity = 32
        fields = .allocate(capacity: capacity)
        references = .allocate(capacity: capacity)
        names = .allocate(capacity: capacity)
        positions = .allocate(capacity: HeaderName.count)
        positions.initialize(repeating: -1, count: HeaderName.count)
    }

    deinit {
        removeAll()
        fields.deallocate()
        references.deallocate()
        names.deallocate()
        positions.deallocate()
        for chunk in arena { chunk.deallocate() }
    }

    // MARK: Reading

    /// The bytes of the value of a known name, first occurrence, or nil. Valid until the block changes.
    package func value(_ name: HeaderName) -> UnsafeBufferPointer<UInt8>? {
        let position = positions[Int(name.rawValue)]
        return position < 0 ? nil : value(at: Int(position))
    }

    package func contains(_ name: HeaderName) -> Bool {
        positions[Int(name.rawValue)] >= 0
    }

    /// The bytes of the name of a field. Valid until the block changes.
    package func name(at index: Int) -> UnsafeBufferPointer<UInt8> {
        precondition(index >= 0 && index < count)
        return UnsafeBufferPointer(start: fields[index].name, count: fields[index].namelen)
    }

    /// The bytes of the value of a field. Valid until the block changes.
    package func value(at index: Int) -> UnsafeBufferPointer<UInt8> {
        precondition(index >= 0 && index < count)
        return UnsafeBufferPointer(start: fields[index].value, count: fields[index].valuelen)
    }

    /// `:status` as a number; nil where it is absent or no number of three digits.
    package var status: Int? {
        guard let value = value(.status), value.count == 3 else { return nil }
        var status = 0
        for byte in value {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            status = status * 10 + Int(byte - UInt8(ascii: "0"))
        }
        return status
    }

    /// All fields as text, for messages and tests; never on the request path.
    package var textFields: [(name: String, value: String)] {
        (0..<count).map { index in
            (String(decoding: name(at: index), as: UTF8.self), String(decoding: value(at: index), as: UTF8.self))
        }
    }

    // MARK: Building

    /// Adds a field; both parts are copied into the block's arena.
    package func append(_ name: StaticString, _ value: some Collection<UInt8>) {
        let bytes = copyToArena(value)
        let nameBytes = UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
        append(name: nameBytes, value: bytes, references: (nil, nil), sensitive: false)
    }

    /// Adds a field of program text: nothing is copied.
    package func append(_ name: StaticString, literal value: StaticString) {
        append(
            name: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount),
            value: UnsafeBufferPointer(start: value.utf8Start, count: value.utf8CodeUnitCount),
            references: (nil, nil), sensitive: false)
    }

    /// Adds a field whose name is known only at run time; both parts are copied.
    package func append(name: some Collection<UInt8>, value: some Collection<UInt8>) {
        append(name: copyToArena(name), value: copyToArena(value), references: (nil, nil), sensitive: false)
    }

    /// Replaces the value of a known name, first occurrence, by program text. Does nothing where the name is absent.
    package func replace(_ name: HeaderName, literal value: StaticString) {
        let position = Int(positions[Int(name.rawValue)])
        guard position >= 0 else { return }
        setValue(at: position, UnsafeBufferPointer(start: value.utf8Start, count: value.utf8CodeUnitCount))
    }

    /// Replaces the value of a known name, first occurrence. Does nothing where the name is absent.
    package func replace(_ name: HeaderName, _ value: some Collection<UInt8>) {
        let position = Int(positions[Int(name.rawValue)])
        guard position >= 0 else { return }
        setValue(at: position, copyToArena(value))
    }

    /// Sets a known name to a value that will hardly come again, and asks that nobody indexes it: it would push fields
    /// that do come again out of the compression table.
    /// - Parameter text: the name, for where it is absent.
    package func set(_ name: HeaderName, _ text: StaticString, volatile value: some Collection<UInt8>) {
        if contains(name) {
            replace(name, value)
        } else {
            append(text, value)
        }
        fields[Int(positions[Int(name.rawValue)])].flags |= UInt8(NGHTTP2_NV_FLAG_NO_INDEX.rawValue)
    }

    /// Adds copies of all fields of another block.
    package func append(contentsOf other: HeaderBlock) {
        for index in 0..<other.count {
            let sensitive = other.fields[index].flags & UInt8(NGHTTP2_NV_FLAG_NO_INDEX.rawValue) != 0
            append(
                name: copyToArena(other.name(at: index)), value: copyToArena(other.value(at: index)),
                references: (nil, nil), sensitive: sensitive)
        }
    }

    /// Takes out every field of this name.
    package func remove(_ unwanted: HeaderName) {
        guard contains(unwanted) else { return }
        positions.update(repeating: -1, count: HeaderName.count)
        var kept = 0
        for index in 0..<count {
            if names[index] == unwanted {
                release(index)
                continue
            }
            if kept != index {
                fields[kept] = fields[index]
                references[kept] = references[index]
                names[kept] = names[index]
            }
            notePosition(names[kept], at: kept)
            kept += 1
        }
        count = kept
    }

    /// Drops all fields and keeps the memory.
    package func removeAll() {
        for index in 0..<count { release(index) }
        count = 0
        listSize = 0
        receivedCount = 0
        isTruncated = false
        hasDuplicate = false
        arenaUsed = 0
        while arena.count > 1 || (arena.first?.count ?? 0) > Self.arenaChunk { arena.removeLast().deallocate() }
        positions.update(repeating: -1, count: HeaderName.count)
    }

    // MARK: Receiving

    /// Takes a decoded field. Over the limits the field is counted and dropped.
    func receive(
        name: OpaquePointer, value: OpaquePointer, flags: UInt8, maxBytes: Int, maxFields: Int
    ) {
        let nameVector = nghttp2_rcbuf_get_buf(name)
        let valueVector = nghttp2_rcbuf_get_buf(value)
        listSize += nameVector.len + valueVector.len + 32
        receivedCount += 1
        if listSize > maxBytes || receivedCount > maxFields {
            isTruncated = true
            return
        }
        nghttp2_rcbuf_incref(name)
        nghttp2_rcbuf_incref(value)
        append(
            name: UnsafeBufferPointer(start: nameVector.base, count: nameVector.len),
            value: UnsafeBufferPointer(start: valueVector.base, count: valueVector.len),
            references: (name, value), sensitive: flags & UInt8(NGHTTP2_NV_FLAG_NO_INDEX.rawValue) != 0)
    }

    // MARK: Private

    private func append(
        name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>,
        references: (OpaquePointer?, OpaquePointer?), sensitive: Bool
    ) {
        if count == capacity { grow() }
        var flags = UInt8(NGHTTP2_NV_FLAG_NO_COPY_NAME.rawValue | NGHTTP2_NV_FLAG_NO_COPY_VALUE.rawValue)
        // A field that the sender asked not to be indexed stays so on the next hop (RFC 7541, 7.1.3).
        if sensitive { flags |= UInt8(NGHTTP2_NV_FLAG_NO_INDEX.rawValue) }
        fields[count] = nghttp2_nv(
            name: UnsafeMutablePointer(mutating: name.baseAddress ?? Self.empty),
            value: UnsafeMutablePointer(mutating: value.baseAddress ?? Self.empty),
            namelen: name.count, valuelen: value.count, flags: flags)
        self.references[count] = references
        let known = HeaderName.classify(name)
        names[count] = known
        notePosition(known, at: count)
        count += 1
    }

    private static var empty: UnsafePointer<UInt8> { ("" as StaticString).utf8Start }

    private func notePosition(_ name: HeaderName, at index: Int) {
        guard name != .other else { return }
        let slot = Int(name.rawValue)
        if positions[slot] < 0 {
            positions[slot] = Int32(index)
        } else {
            switch name {
            case .te, .contentType, .grpcTimeout, .grpcEncoding, .host: hasDuplicate = true
            default: break
            }
        }
    }

    private func setValue(at index: Int, _ value: UnsafeBufferPointer<UInt8>) {
        if let reference = references[index].1 {
            nghttp2_rcbuf_decref(reference)
            references[index].1 = nil
        }
        fields[index].value = UnsafeMutablePointer(mutating: value.baseAddress ?? Self.empty)
        fields[index].valuelen = value.count
    }

    private func release(_ index: Int) {
        if let name = references[index].0 { nghttp2_rcbuf_decref(name) }
        if let value = references[index].1 { nghttp2_rcbuf_decref(value) }
    }

    private func grow() {
        let newCapacity = capacity * 2
        let newFields = UnsafeMutablePointer<nghttp2_nv>.allocate(capacity: newCapacity)
        let newReferences = UnsafeMutablePointer<(OpaquePointer?, OpaquePointer?)>.allocate(capacity: newCapacity)
        let newNames = UnsafeMutablePointer<HeaderName>.allocate(capacity: newCapacity)
        newFields.moveInitialize(from: fields, count: count)
        newReferences.moveInitialize(from: references, count: count)
        newNames.moveInitialize(from: names, count: count)
        fields.deallocate()
        references.deallocate()
        names.deallocate()
        fields = newFields
        references = newReferences
        names = newNames
        capacity = newCapacity
    }

    /// Copies bytes to where they stay put until ``removeAll()``.
    private func copyToArena(_ bytes: some Collection<UInt8>) -> UnsafeBufferPointer<UInt8> {
        let size = bytes.count
        if arena.isEmpty || arenaUsed + size > arena[arena.count - 1].count {
            arena.append(.allocate(byteCount: max(size, Self.arenaChunk), alignment: 1))
            arenaUsed = 0
        }
        let chunk = arena[arena.count - 1]
        guard let base = chunk.baseAddress else { return UnsafeBufferPointer(start: Self.empty, count: 0) }
        let start = (base + arenaUsed).assumingMemoryBound(to: UInt8.self)
        var cursor = start
        let copied: Void? = bytes.withContiguousStorageIfAvailable { source in
            if let base = source.baseAddress { memcpy(start, base, size) }
        }
        if copied == nil {
            for byte in bytes {
                cursor.pointee = byte
                cursor += 1
            }
        }
        arenaUsed += size
        return UnsafeBufferPointer(start: start, count: size)
    }
}

/// Keeps empty header blocks for the next request. One per worker; confined to its thread.
package final class HeaderBlockPool {
    private var free: ContiguousArray<HeaderBlock> = []
    private let capacity: Int
    /// What the sessions that use this pool decode into.
    let memory = LibraryMemory()

    /// - Parameter capacity: blocks kept at most; about 2 KiB each.
    package init(capacity: Int = 1024) {
        self.capacity = capacity
    }

    package func take() -> HeaderBlock {
        free.popLast() ?? HeaderBlock(memory: memory)
    }

    /// Gives a block back. The caller keeps no reference to it.
    package func give(_ block: HeaderBlock) {
        block.removeAll()
        if free.count < capacity { free.append(block) }
    }
}
