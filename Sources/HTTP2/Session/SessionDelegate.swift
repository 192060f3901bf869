/// What a complete header block is.
package enum HeaderKind: Sendable, Equatable {
    /// The request, or the final response.
    case head
    /// A 1xx response.
    case informational
    case trailers
}

/// What a session tells while it reads and writes.
///
/// All calls come from inside ``Session/receive(_:now:)``, ``Session/produce(limit:)`` or ``Session/sweep(_:)``, on
/// the caller's thread. Inside them commands on any session are allowed; reading, producing and freeing are not (the
/// library must not be re-entered).
package protocol SessionDelegate: AnyObject {
    /// A header block is complete. The block belongs to the delegate from here on.
    func session(
        _ session: Session, didReceive headers: HeaderBlock, kind: HeaderKind, on stream: Stream, endStream: Bool)
    /// Body bytes came; ``Session/takeData(into:)`` moves them. Connection credit is the delegate's to return.
    func session(_ session: Session, didReceiveData count: Int, on stream: Stream)
    /// The peer ended its direction without trailers.
    func session(_ session: Session, didReceiveEndOf stream: Stream)
    /// The peer reset the stream; the close follows.
    func session(_ session: Session, didReceiveReset code: ErrorCode, on stream: Stream)
    /// Body bytes of this stream were written to the output.
    func session(_ session: Session, didSendData count: Int, on stream: Stream)
    /// The stream's first HEADERS frame was written to the output.
    func session(_ session: Session, didSendHeadersOn stream: Stream)
    /// The stream is gone, for whatever reason; called exactly once for each stream. Nothing follows for it.
    func session(_ session: Session, didClose stream: Stream, code: ErrorCode)
    /// The peer's SETTINGS (no acknowledgement).
    func sessionDidReceiveSettings(_ session: Session)
    /// The peer acknowledged our SETTINGS.
    func sessionDidReceiveSettingsAck(_ session: Session)
    func session(_ session: Session, didReceiveGoAway lastStreamID: Int32, code: ErrorCode, debug: String)
    func sessionDidReceivePingAck(_ session: Session)
    /// An RST_STREAM was written; `provoked` when the peer made the library send it by breaking a rule.
    func session(_ session: Session, didSendReset code: ErrorCode, on streamID: Int32, provoked: Bool)
    /// The peer used up three quarters of its budget of suspicious frames: time to say good-bye gracefully.
    func sessionIsNearGlitchLimit(_ session: Session)
}

/// What most owners do not act on.
extension SessionDelegate {
    package func session(_ session: Session, didReceiveEndOf stream: Stream) {}
    package func session(_ session: Session, didReceiveReset code: ErrorCode, on stream: Stream) {}
    package func session(_ session: Session, didSendData count: Int, on stream: Stream) {}
    package func session(_ session: Session, didSendHeadersOn stream: Stream) {}
    package func sessionDidReceiveSettings(_ session: Session) {}
    package func sessionDidReceiveSettingsAck(_ session: Session) {}
    package func session(_ session: Session, didReceiveGoAway lastStreamID: Int32, code: ErrorCode, debug: String) {}
    package func sessionDidReceivePingAck(_ session: Session) {}
    package func session(_ session: Session, didSendReset code: ErrorCode, on streamID: Int32, provoked: Bool) {}
    package func sessionIsNearGlitchLimit(_ session: Session) {}
}
