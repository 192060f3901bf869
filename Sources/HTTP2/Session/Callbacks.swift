import CNghttp2

/// The C callbacks: each unwraps its user data and calls one method. None frees, sends or receives.
///
/// The caller of `receive` and `produce` holds the session, so the callbacks take it without a reference of their own.
enum Callbacks {
    /// Written once, before anybody reads it; the library only reads it. No object: sessions of all threads use it.
    nonisolated(unsafe) static let raw: OpaquePointer = make()

    private static func make() -> OpaquePointer {
        var callbacks: OpaquePointer?
        nghttp2_session_callbacks_new(&callbacks)
        guard let callbacks else { preconditionFailure("out of memory") }
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, frame, user in
            guard let frame, let user else { return callbackFailure }
            return Unmanaged<Session>.fromOpaque(user)._withUnsafeGuaranteedRef { $0.onBeginHeaders(frame.pointee) }
        }
        nghttp2_session_callbacks_set_on_header_callback2(callbacks) { _, _, name, value, flags, user in
            guard let name, let value, let user else { return callbackFailure }
            return Unmanaged<Session>.fromOpaque(user)._withUnsafeGuaranteedRef {
                $0.onHeader(name: name, value: value, flags: flags)
            }
        }
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, user in
            guard let frame, let user else { return callbackFailure }
            Unmanaged<Session>.fromOpaque(user)._withUnsafeGuaranteedRef { $0.onFrameReceived(frame) }
            return 0
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, id, bytes, count, user in
            guard let user else { return callbackFailure }
            let data = UnsafeRawBufferPointer(start: bytes, count: count)
            Unmanaged<Session>.fromOpaque(user)._withUnsafeGuaranteedRef { $0.onData(id, data) }
            return 0
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, id, code, user in
            // Must return 0: anything else leaks a frame in this version (CVE-2023-35945).
            guard let user else { return 0 }
            Unmanaged<Session>.fromOpaque(user)._withUnsafeGuaranteedRef {
                $0.onStreamClose(id, ErrorCode(rawValue: code))
            }
            return 0
        }
        nghttp2_session_callbacks_set_before_frame_send_callback(callbacks) { _, frame, user in
            guard let frame, let user else { return callbackFailure }
            let header = frame.pointee.hd
            if UInt32(header.type) == NGHTTP2_HEADERS.rawValue {
                Unmanaged<Session>.fromOpaque(user)._withUnsafeGuaranteedRef { $0.onHeadersLeave(header.stream_id) }
            }
            return 0
        }
        nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, user in
            guard let frame, let user else { return callbackFailure }
            Unmanaged<Session>.fromOpaque(user)._withUnsafeGuaranteedRef { $0.onFrameSent(frame) }
            return 0
        }
        nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks) { _, frame, code, user in
            guard let frame, let user else { return callbackFailure }
            Unmanaged<Session>.fromOpaque(user)._withUnsafeGuaranteedRef { $0.onFrameNotSent(frame, code) }
            return 0
        }
        nghttp2_session_callbacks_set_send_data_callback(callbacks) { _, _, header, count, source, user in
            guard let header, let user, let pointer = source?.pointee.ptr else { return callbackFailure }
            Unmanaged<Session>.fromOpaque(user)._withUnsafeGuaranteedRef { session in
                Unmanaged<Stream>.fromOpaque(pointer)._withUnsafeGuaranteedRef { stream in
                    BodyProvider.write(stream, of: session, frameHeader: header, count: count)
                }
            }
            return 0
        }
        nghttp2_session_callbacks_set_error_callback2(callbacks) { _, _, message, count, user in
            guard let message, let user else { return 0 }
            let bytes = UnsafeRawBufferPointer(start: message, count: count)
            Unmanaged<Session>.fromOpaque(user)._withUnsafeGuaranteedRef {
                $0.lastLibraryError = String(decoding: bytes, as: UTF8.self)
            }
            return 0
        }
        return callbacks
    }
}

private let callbackFailure = NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
