import CNghttp2

/// What the library's callbacks do: they note and tell.
extension Session {
    func onBeginHeaders(_ frame: nghttp2_frame) -> Int32 {
        let id = frame.hd.stream_id
        if role == .server, frame.headers.cat == NGHTTP2_HCAT_REQUEST {
            let stream = Stream(id: id, session: self)
            nghttp2_session_set_stream_user_data(raw, id, Unmanaged.passUnretained(stream).toOpaque())
            remember(stream)
            receiveBlock(on: stream)
        } else if let stream = stream(id) {
            receiveBlock(on: stream)
        } else {
            headerStream = nil
            headerBlock = nil
        }
        return 0
    }

    private func receiveBlock(on stream: Stream) {
        let block = stream.incoming ?? blocks.take()
        stream.incoming = block
        headerStream = Unmanaged.passUnretained(stream)
        headerBlock = Unmanaged.passUnretained(block)
    }

    func onHeader(name: OpaquePointer, value: OpaquePointer, flags: UInt8) -> Int32 {
        guard let headerBlock else { return 0 }
        let isOver = headerBlock._withUnsafeGuaranteedRef { block in
            block.receive(
                name: name, value: value, flags: flags,
                maxBytes: settings.maxHeaderBytes, maxFields: settings.maxHeaderFields)
            return block.listSize > settings.hardHeaderBytes || block.receivedCount > settings.hardHeaderFields
        }
        if isOver {
            pendingError = SessionError(
                reason: .headerBytes, code: .enhanceYourCalm,
                message: "header block over \(settings.hardHeaderBytes) bytes or \(settings.hardHeaderFields) fields")
            return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
        }
        return 0
    }

    func onFrameReceived(_ frame: UnsafePointer<nghttp2_frame>) {
        let header = frame.pointee.hd
        switch UInt32(header.type) {
        case NGHTTP2_HEADERS.rawValue:
            onHeadersComplete(header)
        case NGHTTP2_DATA.rawValue:
            if header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0, let stream = stream(header.stream_id) {
                stream.remoteEnded = true
                delegate.session(self, didReceiveEndOf: stream)
            }
        case NGHTTP2_RST_STREAM.rawValue:
            if let stream = stream(header.stream_id) {
                let code = ErrorCode(rawValue: frame.pointee.rst_stream.error_code)
                stream.resetByPeer = code
                delegate.session(self, didReceiveReset: code, on: stream)
            }
        case NGHTTP2_SETTINGS.rawValue:
            if header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0 {
                settingsAcknowledged = true
                delegate.sessionDidReceiveSettingsAck(self)
            } else {
                settingsReceived = true
                delegate.sessionDidReceiveSettings(self)
            }
        case NGHTTP2_PING.rawValue:
            if header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0 { delegate.sessionDidReceivePingAck(self) }
        case NGHTTP2_GOAWAY.rawValue:
            let goAway = frame.pointee.goaway
            goAwayReceived = true
            let debug = UnsafeRawBufferPointer(start: goAway.opaque_data, count: min(goAway.opaque_data_len, 256))
            delegate.session(
                self, didReceiveGoAway: goAway.last_stream_id, code: ErrorCode(rawValue: goAway.error_code),
                debug: String(decoding: debug, as: UTF8.self))
        default:
            break
        }
    }

    private func onHeadersComplete(_ header: nghttp2_frame_hd) {
        guard let stream = headerStream?.takeUnretainedValue(), let block = stream.incoming else { return }
        headerStream = nil
        headerBlock = nil
        stream.incoming = nil
        let endStream = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
        if endStream { stream.remoteEnded = true }
        let kind: HeaderKind
        if stream.finalHeadersReceived {
            kind = .trailers
        } else if role == .client, let status = block.status, status >= 100, status < 200 {
            kind = .informational
        } else {
            kind = .head
            stream.finalHeadersReceived = true
        }
        delegate.session(self, didReceive: block, kind: kind, on: stream, endStream: endStream)
    }

    func onData(_ id: Int32, _ bytes: UnsafeRawBufferPointer) {
        let target: Unmanaged<Stream>
        if let dataStream, dataStream.id == id {
            target = dataStream.stream
        } else {
            guard let pointer = nghttp2_session_get_stream_user_data(raw, id) else {
                creditConnection(bytes.count)
                return
            }
            target = Unmanaged.fromOpaque(pointer)
            dataStream = (id, target)
        }
        data = bytes
        target._withUnsafeGuaranteedRef { delegate.session(self, didReceiveData: bytes.count, on: $0) }
        data = UnsafeRawBufferPointer(start: nil, count: 0)
    }

    func onStreamClose(_ id: Int32, _ code: ErrorCode) {
        guard let stream = stream(id) else { return }
        watch.noteClosed(stream)
        forget(stream)
        delegate.session(self, didClose: stream, code: code)
        stream.owner = nil
    }

    func onFrameSent(_ frame: UnsafePointer<nghttp2_frame>) {
        let header = frame.pointee.hd
        switch UInt32(header.type) {
        case NGHTTP2_HEADERS.rawValue:
            watch.noteSent(data: false)
            if let stream = stream(header.stream_id), let code = stream.deferredReset { reset(stream, code) }
            stopEarlyAnswered(header)
        case NGHTTP2_DATA.rawValue:
            watch.noteSent(data: true)
            stopEarlyAnswered(header)
        case NGHTTP2_RST_STREAM.rawValue:
            let code = ErrorCode(rawValue: frame.pointee.rst_stream.error_code)
            // A stream that we did not reset ourselves was reset by the library because of what the peer sent.
            // Streams above a limit that the peer could not know yet are no fault of its.
            let isEarly = code == .refusedStream && !settingsAcknowledged
            let provoked =
                !isEarly
                && (stream(header.stream_id).map { !$0.resetByUs } ?? (code != .cancel && code != .noError))
            if provoked { watch.noteProvokedReset(now: inputNow) }
            delegate.session(self, didSendReset: code, on: header.stream_id, provoked: provoked)
        case NGHTTP2_GOAWAY.rawValue:
            goAwaySent = ErrorCode(rawValue: frame.pointee.goaway.error_code)
        default:
            break
        }
    }

    /// A server that has answered in full before the request ended asks the client to stop (RFC 9113, 8.1).
    private func stopEarlyAnswered(_ header: nghttp2_frame_hd) {
        guard role == .server, header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0,
            let stream = stream(header.stream_id), !stream.remoteEnded
        else { return }
        reset(stream, .noError)
    }

    /// HEADERS are about to be written. (The library tells of a written frame only when it is asked for the next one.)
    func onHeadersLeave(_ id: Int32) {
        guard let stream = stream(id), !stream.headersSent else { return }
        stream.headersSent = true
        delegate.session(self, didSendHeadersOn: stream)
    }

    func onFrameNotSent(_ frame: UnsafePointer<nghttp2_frame>, _ code: Int32) {
        let header = frame.pointee.hd
        guard UInt32(header.type) == NGHTTP2_HEADERS.rawValue, let stream = stream(header.stream_id) else { return }
        // A request that never left: the library closes the stream itself, and a reset would name a stream that the
        // peer has never seen.
        if frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST { return }
        // The library drops a block that it can't send without closing the stream: the peer would wait for ever.
        if stream.isOpen, !stream.resetByUs, !isTerminated { resetNow(stream, .internalError) }
    }
}
