import CNghttp2

/// The C callbacks: each unwraps its user data and calls one method. None frees, sends or receives.
final class Callbacks: Sendable {
    static let shared = Callbacks()

    /// Written once, before anybody reads it; the library only reads it.
    nonisolated(unsafe) let raw: OpaquePointer

    private init() {
        var callbacks: OpaquePointer?
        nghttp2_session_callbacks_new(&callbacks)
        guard let callbacks else { preconditionFailure("out of memory") }
        raw = callbacks

        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, frame, user in
            guard let frame, let user else { return callbackFailure }
            return session(user).onBeginHeaders(frame.pointee)
        }
        nghttp2_session_callbacks_set_on_header_callback2(callbacks) { _, _, name, value, flags, user in
            guard let name, let value, let user else { return callbackFailure }
            return session(user).onHeader(name: name, value: value, flags: flags)
        }
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, user in
            guard let frame, let user else { return callbackFailure }
            session(user).onFrameReceived(frame)
            return 0
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, id, bytes, count, user in
            guard let user else { return callbackFailure }
            session(user).onData(id, UnsafeRawBufferPointer(start: bytes, count: count))
            return 0
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, id, code, user in
            // Must return 0: anything else leaks a frame in this version (CVE-2023-35945).
            if let user { session(user).onStreamClose(id, ErrorCode(rawValue: code)) }
            return 0
        }
        nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, user in
            guard let frame, let user else { return callbackFailure }
            session(user).onFrameSent(frame)
            return 0
        }
        nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks) { _, frame, code, user in
            guard let frame, let user else { return callbackFailure }
            session(user).onFrameNotSent(frame, code)
            return 0
        }
        nghttp2_session_callbacks_set_send_data_callback(callbacks) { _, _, header, count, source, _ in
            guard let header, let pointer = source?.pointee.ptr else { return callbackFailure }
            BodyProvider.write(
                Unmanaged<Stream>.fromOpaque(pointer).takeUnretainedValue(), frameHeader: header, count: count)
            return 0
        }
        nghttp2_session_callbacks_set_error_callback2(callbacks) { _, _, message, count, user in
            guard let message, let user else { return 0 }
            let bytes = UnsafeRawBufferPointer(start: message, count: count)
            session(user).lastLibraryError = String(decoding: bytes, as: UTF8.self)
            return 0
        }
    }
}

private let callbackFailure = NGHTTP2_ERR_CALLBACK_FAILURE.rawValue

private func session(_ user: UnsafeMutableRawPointer) -> Session {
    Unmanaged<Session>.fromOpaque(user).takeUnretainedValue()
}
