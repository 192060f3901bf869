/// Every bound of the HTTP/2 side, with its default. One instance per listener (what callers may do to us) and one per
/// cluster (what tasks may do to us); the names are those of the configuration, in snake case there.
///
/// Durations carry their unit in the type; the rest is bytes or counts, as the name says.
package struct Limits: Sendable, Equatable {
    // Time.
    /// From accept to the end of the client's preface and first SETTINGS.
    package var prefaceTimeout: Duration = .seconds(5)
    /// From our SETTINGS to the peer's acknowledgement; then GOAWAY(SETTINGS_TIMEOUT).
    package var settingsAckTimeout: Duration = .seconds(10)
    /// From the first HEADERS byte of a block to its END_HEADERS; then GOAWAY(ENHANCE_YOUR_CALM).
    package var headerBlockTimeout: Duration = .seconds(5)
    /// A connection without streams is closed after this long.
    package var idleTimeout: Duration = .seconds(15 * 60)
    /// A stream that has bytes for a peer which takes none is reset after this long.
    package var streamWriteStall: Duration = .seconds(60)
    /// A connection whose socket takes no byte that we hold is closed after this long.
    package var connectionWriteStall: Duration = .seconds(30)

    // Header blocks (RFC 9113, 6.5.2: name + value + 32 per field).
    /// Above this a request is answered RESOURCE_EXHAUSTED / 431; the connection lives.
    package var maxHeaderBytes = 65_536
    package var maxHeaderFields = 128
    /// Above this the connection is closed with ENHANCE_YOUR_CALM.
    package var hardHeaderBytes = 262_144
    package var hardHeaderFields = 4_096
    package var maxContinuationFrames = 32

    // Streams and windows.
    /// SETTINGS_MAX_CONCURRENT_STREAMS that we advertise.
    package var maxConcurrentStreams = 1_000
    /// Requests of one connection that are handed on in one turn of the loop; the rest waits for the next turn.
    package var maxNewStreamsPerTurn = 100
    /// SETTINGS_INITIAL_WINDOW_SIZE that we advertise.
    package var streamWindowBytes = 65_536
    package var connectionWindowBytes = 16 * 1024 * 1024
    /// Interim (1xx) responses passed on per response; one more is malformed.
    package var maxInformationalResponses = 16

    // Connections.
    /// Connections a listener holds at a time; over it a connection is accepted and closed at once. 0: no limit but the
    /// process's descriptors.
    package var maxConnections = 0
    /// Bytes received on a connection and not yet passed on, over all its streams; above it no stream credit is given.
    package var maxBufferedBytesPerConnection = 16 * 1024 * 1024
    /// The same over all connections of the process.
    package var maxBufferedBytesPerProcess = 256 * 1024 * 1024

    // Abuse.
    /// Resets by the peer shortly after its request, before any response: over this many closed streams in the window
    /// and this share of them, GOAWAY(ENHANCE_YOUR_CALM). Resets at the request's own deadline are honest.
    package var prematureResetWindow: Duration = .seconds(10)
    package var prematureResetMinimum = 500
    package var prematureResetRatio = 0.5
    /// RST_STREAM frames that the peer made us send by breaking rules: a bucket, refilled per second.
    package var provokedResetBurst = 200
    package var provokedResetRate = 20
    /// Legal but suspicious frames: a bucket, refilled per second. At three quarters a graceful GOAWAY, empty: a hard
    /// one.
    package var glitchBurst = 10_000
    package var glitchRate = 330

    package init() {}
}
