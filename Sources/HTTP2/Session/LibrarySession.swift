import CNghttp2

/// Makes libnghttp2 sessions with the options that `docs/decisions/0002-libnghttp2.md` explains.
enum LibrarySession {
    static func make(role: Session.Role, settings: SessionSettings, memory: LibraryMemory) -> OpaquePointer {
        var option: OpaquePointer?
        nghttp2_option_new(&option)
        guard let option else { preconditionFailure("out of memory") }
        defer { nghttp2_option_del(option) }
        // Credit is given back by whoever passed the bytes on.
        nghttp2_option_set_no_auto_window_update(option, 1)
        // ClosedStreams remembers what matters of closed streams in 8 bytes instead of 224.
        nghttp2_option_set_no_closed_streams(option, 1)
        nghttp2_option_set_no_auto_ping_ack(option, 0)
        nghttp2_option_set_peer_max_concurrent_streams(option, 100)
        nghttp2_option_set_max_settings(option, 32)
        nghttp2_option_set_max_outbound_ack(option, 1_000)
        // Twice what we accept: a block that came in always fits out again, additions included. A block over the limit
        // would vanish without a word.
        nghttp2_option_set_max_send_header_block_length(option, settings.hardHeaderBytes * 2)
        // `grpc-message: "oops "` ends in a space that gRPC does not encode.
        _ = ekiden_option_set_lenient_whitespace(option)
        // Counts partial reads instead of frames; FrameWatch counts frames.
        _ = ekiden_option_set_max_continuations(option, 1 << 20)
        // Its default kills clients whose deadlines expire; ours tells those apart. This is the backstop.
        _ = ekiden_option_set_stream_reset_rate_limit(option, 20_000, 1_000)

        var session: OpaquePointer?
        let callbacks = Callbacks.raw
        let result =
            switch role {
            case .server: nghttp2_session_server_new3(&session, callbacks, nil, option, memory.functions)
            case .client: nghttp2_session_client_new3(&session, callbacks, nil, option, memory.functions)
            }
        guard result == 0, let session else { preconditionFailure("out of memory") }
        if role == .client, settings.firstStreamID != 1 {
            nghttp2_session_set_next_stream_id(session, settings.firstStreamID)
        }
        return session
    }

    static func submitFirstSettings(_ raw: OpaquePointer, role: Session.Role, settings: SessionSettings) {
        var entries = [
            entry(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings.streamWindowBytes),
            entry(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, settings.maxHeaderBytes),
            // RFC 9218, 2.1: no priority tree is kept; PRIORITY frames cost nothing.
            nghttp2_settings_entry(settings_id: 9, value: 1),
        ]
        switch role {
        case .server: entries.append(entry(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, settings.maxConcurrentStreams))
        case .client: entries.append(entry(NGHTTP2_SETTINGS_ENABLE_PUSH, 0))
        }
        nghttp2_submit_settings(raw, UInt8(NGHTTP2_FLAG_NONE.rawValue), entries, entries.count)
        if settings.connectionWindowBytes != 65_535 {
            nghttp2_session_set_local_window_size(raw, 0, 0, Int32(clamping: settings.connectionWindowBytes))
        }
    }

    private static func entry(_ id: nghttp2_settings_id, _ value: Int) -> nghttp2_settings_entry {
        nghttp2_settings_entry(settings_id: Int32(id.rawValue), value: UInt32(clamping: value))
    }
}
