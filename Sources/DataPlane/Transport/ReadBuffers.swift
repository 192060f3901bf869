package import HTTP2
package import NIOCore
package import Policy

/// The sizes with which channels read and write.
package enum ReadBuffers {
    /// Reads grow with the traffic: a connection that is quiet holds little, a bulk stream takes 128 KiB at a time.
    package static var allocator: AdaptiveRecvByteBufferAllocator {
        AdaptiveRecvByteBufferAllocator(minimum: 2_048, initial: 16_384, maximum: 131_072)
    }

    /// The session is asked for bytes while less than the low mark waits for the socket.
    package static let writeWaterMark = ChannelOptions.Types.WriteBufferWaterMark(low: 64 * 1024, high: 256 * 1024)
}

extension SessionSettings {
    /// The settings of a session that lives under these limits.
    package init(_ limits: Limits) {
        self.init()
        maxConcurrentStreams = limits.maxConcurrentStreams
        streamWindowBytes = limits.streamWindowBytes
        connectionWindowBytes = limits.connectionWindowBytes
        maxHeaderBytes = limits.maxHeaderBytes
        maxHeaderFields = limits.maxHeaderFields
        hardHeaderBytes = limits.hardHeaderBytes
        hardHeaderFields = limits.hardHeaderFields
        maxContinuationFrames = limits.maxContinuationFrames
        provokedResetBurst = limits.provokedResetBurst
        provokedResetRate = limits.provokedResetRate
        glitchBurst = limits.glitchBurst
        glitchRate = limits.glitchRate
    }
}
