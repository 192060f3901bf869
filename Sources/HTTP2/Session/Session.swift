import CNghttp2
package import NIOCore

/// One HTTP/2 connection without its socket: bytes in, events out; commands in, bytes out.
///
/// A session wraps libnghttp2's and closes its traps (see `docs/decisions/0002-libnghttp2.md`): it counts header
/// bytes and fields, looks at every frame header, answers floods with GOAWAY, sweeps its streams when the connection
/// is lost, and keeps header blocks and bodies alive for as long as the library reads them.
///
/// Not thread-safe and not re-entrant: ``receive(_:now:)`` and ``produce(limit:)`` must not be called from inside a
/// delegate's method. Commands may be.
package final class Session {
    package enum Role: Sendable {
        case server, client
    }

    package let role: Role
    package let settings: SessionSettings
    /// Held: the owner of both lets go of the session when its connection is closed. (A constant strong reference is
    /// used without being counted; an unowned one is counted at each use.)
    package let delegate: any SessionDelegate
    let blocks: HeaderBlockPool
    let raw: OpaquePointer

    /// What ``produce(limit:)`` wrote and nobody took yet.
    package var output: ByteBuffer

    /// Open streams, each held once, in no order; ``Stream/slot`` is the place here.
    private var streams: ContiguousArray<Unmanaged<Stream>> = []
    /// The stream whose header block is being received, and the block; blocks never interleave.
    var headerStream: Unmanaged<Stream>?
    var headerBlock: Unmanaged<HeaderBlock>?
    /// The stream of the last DATA callback, and its id: most come in rows.
    var dataStream: (id: Int32, stream: Unmanaged<Stream>)?
    /// The DATA bytes of the running callback, and the buffer they lie in.
    var data = UnsafeRawBufferPointer(start: nil, count: 0)
    var input: ByteBuffer?
    /// When the bytes that are being read came; nanoseconds of the monotonic clock.
    package internal(set) var inputNow: Int64 = 0

    var watch: FrameWatch
    /// Set by a callback that can't terminate the session from where it is.
    var pendingError: SessionError?
    /// The library's last words about an error, for messages.
    var lastLibraryError = ""
    package internal(set) var isTerminated = false
    /// The library can't go on (out of memory): close the connection, nothing more can be said.
    package private(set) var isBroken = false
    /// After a sweep the library's pointers to streams dangle: it must not be asked for frames any more.
    private var isSwept = false
    package internal(set) var goAwayReceived = false
    /// The code of the last GOAWAY that was written; an error when the peer broke a rule of the connection.
    package internal(set) var goAwaySent: ErrorCode?
    package internal(set) var settingsReceived = false
    package internal(set) var settingsAcknowledged = false

    package init(role: Role, settings: SessionSettings, blocks: HeaderBlockPool, delegate: any SessionDelegate) {
        self.role = role
        self.settings = settings
        self.blocks = blocks
        self.delegate = delegate
        self.output = Self.makeOutput()
        self.watch = FrameWatch(role: role, settings: settings)
        self.raw = LibrarySession.make(role: role, settings: settings, memory: blocks.memory)
        nghttp2_session_set_user_data(raw, Unmanaged.passUnretained(self).toOpaque())
        LibrarySession.submitFirstSettings(raw, role: role, settings: settings)
    }

    deinit {
        releaseStreams()
        nghttp2_session_del(raw)
    }

    // MARK: Bytes in

    /// Reads what the peer sent.
    /// - Parameter now: nanoseconds of the monotonic clock, for the abuse budgets.
    /// - Throws: when the connection can't go on; the GOAWAY is queued: produce, write, close.
    package func receive(_ buffer: ByteBuffer, now: Int64) throws(SessionError) {
        if isTerminated { return }
        input = buffer
        inputNow = now
        defer { input = nil }
        let error = buffer.withUnsafeReadableBytes { bytes in receive(bytes) }
        if let error {
            terminate(error.code)
            throw error
        }
    }

    private func receive(_ bytes: UnsafeRawBufferPointer) -> SessionError? {
        var fed = 0
        var position = 0
        var frameStart = 0
        while true {
            switch watch.scanner.next(in: bytes, position: &position) {
            case .needMoreBytes:
                return feed(bytes, from: fed, to: bytes.count)
            case .dependency(let stream, let parent):
                if stream == parent {
                    // What came before is heard.
                    if let error = feed(bytes, from: fed, to: max(fed, frameStart)) { return error }
                    return SessionError(
                        reason: .protocolError, code: .protocolError, message: "stream \(stream) depends on itself")
                }
            case .frame(let frame):
                frameStart = frame.start
                if watch.needsStreamState(frame), frame.start > fed {
                    // What comes before decides whether the frame's stream is still open.
                    if let error = feed(bytes, from: fed, to: frame.start) { return error }
                    fed = frame.start
                }
                if let error = watch.inspect(frame, session: self) {
                    return feed(bytes, from: fed, to: max(fed, frame.start)) ?? error
                }
            }
        }
    }

    private func feed(_ bytes: UnsafeRawBufferPointer, from: Int, to: Int) -> SessionError? {
        guard to > from, let base = bytes.baseAddress else { return nil }
        let start = (base + from).assumingMemoryBound(to: UInt8.self)
        let result = nghttp2_session_mem_recv(raw, start, to - from)
        if let pendingError { return pendingError }
        return result < 0 ? error(ofLibrary: Int32(truncatingIfNeeded: result)) : nil
    }

    private func error(ofLibrary code: Int32) -> SessionError {
        let text = lastLibraryError.isEmpty ? String(cString: nghttp2_strerror(code)) : lastLibraryError
        switch code {
        case NGHTTP2_ERR_BAD_CLIENT_MAGIC.rawValue:
            return SessionError(reason: .badPreface, code: .protocolError, message: "bad connection preface")
        case NGHTTP2_ERR_FLOODED.rawValue, -905:
            return SessionError(reason: .flood, code: .enhanceYourCalm, message: text)
        case NGHTTP2_ERR_NOMEM.rawValue:
            return SessionError(reason: .outOfMemory, code: .internalError, message: text)
        default:
            return SessionError(reason: .protocolError, code: .protocolError, message: text)
        }
    }

    /// Moves the DATA of the running ``SessionDelegate/session(_:didReceiveData:on:)`` into a queue.
    package func takeData(into queue: BodyQueue) {
        if let input { queue.append(data, in: input) }
    }

    // MARK: Bytes out

    /// `ByteBuffer()` would be NIO's one empty buffer of the whole process, which other threads count references to
    /// as well.
    private static func makeOutput() -> ByteBuffer {
        ByteBufferAllocator().buffer(capacity: 1_024)
    }

    /// Lets go of the memory that a burst left in ``output``; for when little is written again.
    package func trimOutput() {
        if output.readableBytes == 0, output.capacity > 32 * 1_024 { output = Self.makeOutput() }
    }

    /// Whether ``produce(limit:)`` would write something.
    package var wantsWrite: Bool { !isSwept && nghttp2_session_want_write(raw) != 0 }

    /// Whether nothing is left to be said or heard: the connection can be closed.
    package var isDone: Bool { nghttp2_session_want_read(raw) == 0 && nghttp2_session_want_write(raw) == 0 }

    /// Writes frames to ``output`` until it holds `limit` bytes or nothing is left to write.
    /// - Returns: whether the limit was what ended it.
    package func produce(limit: Int) -> Bool {
        while output.readableBytes < limit, !isSwept {
            var chunk: UnsafePointer<UInt8>?
            let count = nghttp2_session_mem_send(raw, &chunk)
            if count == 0 { return false }
            guard count > 0, let chunk else {
                // Out of memory or an internal error: there is nothing to be said any more.
                isTerminated = true
                isBroken = true
                return false
            }
            output.writeBytes(UnsafeRawBufferPointer(start: chunk, count: count))
        }
        return !isSwept
    }

    // MARK: End

    /// Queues GOAWAY with this code and ends reading; open streams get no answer any more.
    package func terminate(_ code: ErrorCode) {
        if isTerminated { return }
        isTerminated = true
        nghttp2_session_terminate_session(raw, code.rawValue)
    }

    /// Closes every stream that is still open: after the connection is lost or terminated, since the library then calls
    /// nobody. Each gets its ``SessionDelegate/session(_:didClose:code:)``.
    package func sweep(_ code: ErrorCode) {
        isTerminated = true
        isSwept = true
        while let last = streams.last {
            let stream = last.takeUnretainedValue()
            forget(stream)
            delegate.session(self, didClose: stream, code: code)
            stream.owner = nil
        }
    }

    /// Whether a header block has begun and not ended: nothing else can be read until it does.
    package var isInHeaderBlock: Bool { watch.isInHeaderBlock || watch.scanner.isInsideHeaderFrame }

    /// Header blocks begun so far; tells one slow block from many.
    package var headerBlocks: Int { watch.headerBlocks }

    /// Weighted count of suspicious frames over the connection's life.
    package var glitchCount: Int { watch.glitchCount }

    // MARK: Table of streams

    /// Streams that are open, by the session's own table.
    package var streamCount: Int { streams.count }

    /// Calls `body` for each open stream. Commands are allowed inside.
    package func forEachStream(_ body: (Stream) -> Void) {
        for stream in streams { body(stream.takeUnretainedValue()) }
    }

    /// Enters a stream into the table, which holds it.
    func remember(_ stream: Stream) {
        stream.slot = streams.count
        streams.append(Unmanaged.passRetained(stream))
    }

    /// Takes a stream out of the table, which lets go of it; the caller holds its own.
    func forget(_ stream: Stream) {
        guard stream.isOpen else { return }
        stream.isOpen = false
        let slot = stream.slot
        let last = streams.removeLast()
        if slot < streams.count {
            streams[slot] = last
            last._withUnsafeGuaranteedRef { $0.slot = slot }
        }
        if let dataStream, dataStream.id == stream.id { self.dataStream = nil }
        if stream.incoming != nil { dropIncoming(of: stream) }
        Unmanaged.passUnretained(stream).release()
    }

    /// A stream that goes while its header block comes.
    private func dropIncoming(of stream: Stream) {
        // Another stream's block may have begun since.
        if headerStream?.toOpaque() == Unmanaged.passUnretained(stream).toOpaque() {
            headerStream = nil
            headerBlock = nil
        }
        if let block = stream.incoming {
            stream.incoming = nil
            blocks.give(block)
        }
    }

    private func releaseStreams() {
        while let last = streams.last { forget(last.takeUnretainedValue()) }
    }

    /// The open stream with this id.
    func stream(_ id: Int32) -> Stream? {
        guard let pointer = nghttp2_session_get_stream_user_data(raw, id) else { return nil }
        return Unmanaged<Stream>.fromOpaque(pointer).takeUnretainedValue()
    }

    /// Whether the library knows the stream as open or half closed.
    func isKnown(_ id: Int32) -> Bool {
        nghttp2_session_find_stream(raw, id) != nil
    }
}

/// A session belongs to one thread.
@available(*, unavailable)
extension Session: Sendable {}
