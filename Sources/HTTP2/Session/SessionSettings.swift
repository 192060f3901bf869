/// What a session promises its peer and what it puts up with. The defaults suit tests; products fill in their own.
package struct SessionSettings: Sendable {
    /// SETTINGS_MAX_CONCURRENT_STREAMS; a client sends none.
    package var maxConcurrentStreams = 1_000
    package var streamWindowBytes = 65_535
    package var connectionWindowBytes = 65_535
    /// Soft limit of a header block: above, the block arrives marked as truncated.
    package var maxHeaderBytes = 65_536
    package var maxHeaderFields = 128
    /// Hard limit of a header block: above, the connection ends with ENHANCE_YOUR_CALM.
    package var hardHeaderBytes = 262_144
    package var hardHeaderFields = 4_096
    package var maxContinuationFrames = 32
    package var provokedResetBurst = 200
    package var provokedResetRate = 20
    package var glitchBurst = 10_000
    package var glitchRate = 330
    /// The id of a client's first stream: odd. Lets a test come near the end of the id space.
    package var firstStreamID: Int32 = 1

    package init() {}
}

/// Why a session can't go on. The GOAWAY that says so is in its output already.
package struct SessionError: Error, Equatable, CustomStringConvertible {
    package enum Reason: String, Sendable, CaseIterable {
        case protocolError
        case continuationFlood
        case headerBytes
        case provokedResets
        case glitches
        /// The library's own flood guards.
        case flood
        case badPreface
        case outOfMemory
    }

    package let reason: Reason
    package let code: ErrorCode
    package let message: String

    package var description: String { "\(message) (\(code))" }
}
