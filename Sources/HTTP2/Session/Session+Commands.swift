import CNghttp2

/// Commands. All may be given at any time, also from a delegate's method; frames leave with the next `produce`.
extension Session {
    // MARK: Streams

    /// Opens a stream with a request. Client sessions only.
    /// - Parameters:
    ///   - headers: belongs to the session until the stream closes, then goes back to the caller with the stream's end.
    ///   - body: nil when the request has none (END_STREAM on HEADERS).
    /// - Returns: the stream, or nil when the id space is used up or the connection takes none any more.
    package func submitRequest(_ headers: HeaderBlock, body: BodyQueue?, owner: AnyObject?) -> Stream? {
        if isTerminated { return nil }
        let stream = Stream(id: 0, session: self)
        stream.owner = owner
        stream.body = body
        stream.sentHeaders = headers
        stream.finalHeadersReceived = false
        let pointer = Unmanaged.passUnretained(stream).toOpaque()
        let id: Int32
        if body != nil {
            var provider = BodyProvider.make(stream)
            id = nghttp2_submit_request(raw, nil, headers.fields, headers.count, &provider, pointer)
        } else {
            stream.localEnded = true
            id = nghttp2_submit_request(raw, nil, headers.fields, headers.count, nil, pointer)
        }
        guard id > 0 else { return nil }
        stream.id = id
        remember(stream)
        return stream
    }

    /// Sends the final response head.
    /// - Parameter body: nil when the response ends with its head (trailers-only).
    package func submitResponse(_ headers: HeaderBlock, body: BodyQueue?, on stream: Stream) {
        guard stream.isOpen, !isTerminated else { return }
        stream.sentHeaders = headers
        stream.body = body
        if body != nil {
            var provider = BodyProvider.make(stream)
            check(nghttp2_submit_response(raw, stream.id, headers.fields, headers.count, &provider), stream)
        } else {
            stream.localEnded = true
            check(nghttp2_submit_response(raw, stream.id, headers.fields, headers.count, nil), stream)
        }
    }

    /// Ends a response with trailers at once: they wait for no window, and what its body still holds is not sent.
    package func endResponse(_ trailers: HeaderBlock, on stream: Stream) {
        guard stream.isOpen, !stream.localEnded, !isTerminated else { return }
        stream.sentTrailers = trailers
        stream.localEnded = true
        // In front of DATA that is queued or waits for credit; the library drops that behind END_STREAM.
        check(nghttp2_submit_trailer(raw, stream.id, trailers.fields, trailers.count), stream)
    }

    /// Sends an interim (1xx) response.
    package func submitInformational(_ headers: HeaderBlock, on stream: Stream) {
        guard stream.isOpen, !isTerminated else { return }
        stream.sentInterim.append(headers)
        let flags = UInt8(NGHTTP2_FLAG_NONE.rawValue)
        check(
            nghttp2_submit_headers(raw, flags, stream.id, nil, headers.fields, headers.count, nil), stream)
    }

    /// Says that the stream's body has new bytes or came to its end.
    package func resumeBody(_ stream: Stream) {
        guard stream.isDeferred, stream.isOpen else { return }
        stream.isDeferred = false
        nghttp2_session_resume_data(raw, stream.id)
    }

    /// Resets the stream; the close follows when the frame is written. A response head that was submitted before goes
    /// first.
    package func reset(_ stream: Stream, _ code: ErrorCode) {
        guard stream.isOpen, !stream.resetByUs, !isTerminated else { return }
        if role == .server, stream.sentHeaders != nil, !stream.headersSent {
            stream.deferredReset = code
            return
        }
        resetNow(stream, code)
    }

    /// Resets the stream without regard to a response head that waits.
    func resetNow(_ stream: Stream, _ code: ErrorCode) {
        stream.resetByUs = true
        nghttp2_submit_rst_stream(raw, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, code.rawValue)
    }

    /// A command that the library refuses (out of memory, a stream in a state we misjudged) must not leave the peer
    /// waiting.
    private func check(_ result: Int32, _ stream: Stream) {
        if result != 0 { reset(stream, .internalError) }
    }

    // MARK: Flow control

    /// Returns connection credit for received bytes.
    package func creditConnection(_ count: Int) {
        if !isTerminated { nghttp2_session_consume_connection(raw, count) }
    }

    /// Returns stream credit for received bytes. None is due once the peer has ended the stream.
    package func creditStream(_ stream: Stream, _ count: Int) {
        guard stream.isOpen, !stream.remoteEnded, !isTerminated else { return }
        nghttp2_session_consume_stream(raw, stream.id, count)
    }

    /// Makes the receive window of one stream larger.
    package func growWindow(of stream: Stream, to bytes: Int) {
        guard stream.isOpen, !isTerminated else { return }
        nghttp2_session_set_local_window_size(raw, 0, stream.id, Int32(clamping: bytes))
    }

    // MARK: Connection

    package func ping() {
        if !isTerminated { nghttp2_submit_ping(raw, 0, nil) }
    }

    /// First step of a graceful end (RFC 9113, 6.8): GOAWAY with the highest id; streams that cross it are still
    /// served.
    package func announceShutdown() {
        if !isTerminated, role == .server { nghttp2_submit_shutdown_notice(raw) }
    }

    /// Second step: GOAWAY with the last stream that was seen. Open streams go on; later ones are not looked at.
    package func goAway(_ code: ErrorCode) {
        if isTerminated { return }
        let last = nghttp2_session_get_last_proc_stream_id(raw)
        nghttp2_submit_goaway(raw, UInt8(NGHTTP2_FLAG_NONE.rawValue), last, code.rawValue, nil, 0)
    }

    // MARK: What the peer allows

    /// Streams the peer lets us have open; 100 until its SETTINGS came.
    package var peerMaxConcurrentStreams: Int {
        guard settingsReceived else { return 100 }
        return Int(nghttp2_session_get_remote_settings(raw, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS))
    }

    /// Whether another request may be submitted: no GOAWAY either way, ids left.
    package var takesRequests: Bool {
        !isTerminated && !goAwayReceived && nghttp2_session_check_request_allowed(raw) != 0
            && nghttp2_session_get_next_stream_id(raw) < UInt32(Int32.max)
    }
}
