import Policy

/// The keys of `limits`, in listeners and in clusters: every field of ``Policy/Limits`` in snake case.
enum LimitsSchema {
    static let fields: [Field<Limits>] = time + headers + streams + connections + abuse

    private static let time: [Field<Limits>] = [
        .scalar("preface_timeout", \.prefaceTimeout, .wait),
        .scalar("settings_ack_timeout", \.settingsAckTimeout, .wait),
        .scalar("header_block_timeout", \.headerBlockTimeout, .wait),
        .scalar("idle_timeout", \.idleTimeout, .age),
        .scalar("stream_write_stall", \.streamWriteStall, .wait),
        .scalar("connection_write_stall", \.connectionWriteStall, .wait),
    ]

    private static let headers: [Field<Limits>] = [
        .scalar("max_header_bytes", \.maxHeaderBytes, .bytes(1_024...headerCeiling)),
        .scalar("max_header_fields", \.maxHeaderFields, .integer(8...65_536)),
        .scalar("hard_header_bytes", \.hardHeaderBytes, .bytes(1_024...headerCeiling)),
        .scalar("hard_header_fields", \.hardHeaderFields, .integer(8...65_536)),
        .scalar("max_continuation_frames", \.maxContinuationFrames, .integer(1...65_536)),
    ]

    private static let streams: [Field<Limits>] = [
        .scalar("max_concurrent_streams", \.maxConcurrentStreams, .integer(1...1_000_000)),
        .scalar("max_new_streams_per_turn", \.maxNewStreamsPerTurn, .integer(1...1_000_000)),
        .scalar("stream_window_bytes", \.streamWindowBytes, .bytes(1_024...windowCeiling)),
        .scalar("connection_window_bytes", \.connectionWindowBytes, .bytes(windowFloor...windowCeiling)),
        .scalar("max_informational_responses", \.maxInformationalResponses, .integer(0...1_000)),
    ]

    private static let connections: [Field<Limits>] = [
        .scalar("max_connections", \.maxConnections, .integer(0...10_000_000)),
        .scalar("max_buffered_bytes_per_connection", \.maxBufferedBytesPerConnection, .bytes(65_536...bufferCeiling)),
        .scalar("max_buffered_bytes_per_process", \.maxBufferedBytesPerProcess, .bytes(65_536...bufferCeiling)),
    ]

    private static let abuse: [Field<Limits>] = [
        .scalar("premature_reset_window", \.prematureResetWindow, .wait),
        .scalar("premature_reset_minimum", \.prematureResetMinimum, .integer(1...1_000_000_000)),
        .scalar("premature_reset_ratio", \.prematureResetRatio, .ratio),
        .scalar("provoked_reset_burst", \.provokedResetBurst, .integer(1...1_000_000_000)),
        .scalar("provoked_reset_rate", \.provokedResetRate, .integer(1...1_000_000_000)),
        .scalar("glitch_burst", \.glitchBurst, .integer(1...1_000_000_000)),
        .scalar("glitch_rate", \.glitchRate, .integer(1...1_000_000_000)),
    ]

    /// A header block is assembled in memory.
    private static let headerCeiling = 16 * 1024 * 1024
    /// What every connection starts with (RFC 9113, 6.9.2): it can only be raised by us.
    private static let windowFloor = 65_535
    /// RFC 9113, 6.9.1.
    private static let windowCeiling = 2_147_483_647
    private static let bufferCeiling = 1 << 40
}

extension ValueSyntax<Duration> {
    /// For something that is expected to happen soon.
    static let wait = duration(.milliseconds(1)...(.seconds(3_600)))
    /// For something that may take its time.
    static let age = duration(.milliseconds(10)...(.seconds(7 * 86_400)))
}
