import HTTP2
import Logging
import NIOCore
import Policy
import Synchronization
import Telemetry

/// What a task says: to the attempt that owns the stream, or, on the one stream without an owner, to the verification.
extension UpstreamConnection: SessionDelegate {
    /// The attempt that owns a stream. Only attempts own streams of this session.
    @inline(__always)
    private func withAttempt(_ stream: Stream, _ body: (Attempt) -> Void) {
        stream.uncountedOwner?._withUnsafeGuaranteedRef { body(unsafeDowncast($0, to: Attempt.self)) }
    }

    func session(
        _ session: Session, didReceive headers: HeaderBlock, kind: HeaderKind, on stream: Stream, endStream: Bool
    ) {
        watch.noteAnswer()
        if stream.uncountedOwner == nil {
            verification?.receive(headers)
            worker.blocks.give(headers)
        }
        withAttempt(stream) { attempt in
            switch kind {
            case .informational: attempt.receiveInformational(headers)
            case .head: attempt.receiveHead(headers, endStream: endStream, now: session.inputNow)
            case .trailers: attempt.receiveEnd(trailers: headers)
            }
        }
    }

    func session(_ session: Session, didReceiveData count: Int, on stream: Stream) {
        watch.noteAnswer()
        session.creditConnection(count)
        if stream.uncountedOwner == nil {
            let bytes = BodyQueue()
            session.takeData(into: bytes)
            verification?.receive(bytes.readAll().readableBytesView)
        }
        withAttempt(stream) { $0.receiveData(count, from: session) }
    }

    func session(_ session: Session, didReceiveEndOf stream: Stream) {
        withAttempt(stream) { $0.receiveEnd(trailers: nil) }
    }

    func session(_ session: Session, didReceiveReset code: ErrorCode, on stream: Stream) {
        cluster.count(.resetsReceived)
    }

    func session(_ session: Session, didSendData count: Int, on stream: Stream) {
        withAttempt(stream) { $0.sent(count) }
    }

    func session(_ session: Session, didClose stream: Stream, code: ErrorCode) {
        if stream.uncountedOwner == nil {
            if let verification {
                verificationEnded(verification.verdict(isComplete: stream.remoteEnded, reset: stream.resetByPeer))
            }
            return
        }
        endpoint.activeStreams.subtract(1, ordering: .relaxed)
        cluster.count(.streamsActive, -1)
        withAttempt(stream) { $0.closed(closing(of: stream, code, isWanted: $0.isWanted)) }
        streamEnded(session)
    }

    private func closing(of stream: Stream, _ code: ErrorCode, isWanted: Bool) -> UpstreamClosing {
        if stream.remoteEnded { return .completed }
        if let loss {
            let counts = isWanted && countLoss()
            return stream.headersSent ? .failed(loss, counts: counts) : .unsent(connectFailure(loss))
        }
        if stream.resetByUs { return .completed }
        let refusal = Failure(.connectFailure, "\(endpoint.name) of cluster \(cluster.cluster.name) refused the stream")
        if let reset = stream.resetByPeer {
            return reset == .refusedStream ? .refused(refusal) : .reset(reset)
        }
        // The library closes what is above GOAWAY's last id, and what it could not send after a GOAWAY.
        if code == .refusedStream || !stream.headersSent { return .refused(refusal) }
        if code == .noError { return .completed }
        return .failed(Failure(.upstreamProtocolError, "sent a malformed response (\(code))"), counts: true)
    }

    func sessionDidReceiveSettings(_ session: Session) {
        settingsArrived()
    }

    func session(_ session: Session, didReceiveGoAway lastStreamID: Int32, code: ErrorCode, debug: String) {
        cluster.count(.goAwayReceived)
        if code != .noError {
            worker.logger.warning(
                "task said GOAWAY",
                metadata: [
                    "cluster": "\(cluster.cluster.name)", "endpoint": "\(endpoint.name)", "code": "\(code)",
                    "debug": "\(debug)",
                ])
        }
        let isInUse = isInUse(now: worker.turn.now)
        beginDraining(Failure(.connectFailure, "said GOAWAY (\(code)) before it took a stream"))
        if isInUse { pool.replace(self) }
    }

    func session(_ session: Session, didSendReset code: ErrorCode, on streamID: Int32, provoked: Bool) {
        cluster.count(.resetsSent)
    }

    func sessionIsNearGlitchLimit(_ session: Session) {
        beginDraining()
    }
}
