import HTTP2
import Logging
import NIOCore
import Policy
import Synchronization
import Telemetry

/// What a task says: to the exchange that owns the stream, or, on the one stream without an owner, to the verification.
extension UpstreamConnection: SessionDelegate {
    /// The exchange that owns a stream. Only exchanges own streams of this session.
    @inline(__always)
    private func withExchange(_ stream: Stream, _ body: (Exchange) -> Void) {
        stream.uncountedOwner?._withUnsafeGuaranteedRef { body(unsafeDowncast($0, to: Exchange.self)) }
    }

    func session(
        _ session: Session, didReceive headers: HeaderBlock, kind: HeaderKind, on stream: Stream, endStream: Bool
    ) {
        watch.noteAnswer()
        if stream.uncountedOwner == nil {
            verification?.receive(headers)
            worker.blocks.give(headers)
        }
        withExchange(stream) { exchange in
            switch kind {
            case .informational: exchange.receiveInformational(headers)
            case .head: exchange.receiveHead(headers, endStream: endStream)
            case .trailers: exchange.receiveResponseEnd(trailers: headers)
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
        withExchange(stream) { $0.receiveResponseData(count, from: session) }
    }

    func session(_ session: Session, didReceiveEndOf stream: Stream) {
        withExchange(stream) { $0.receiveResponseEnd(trailers: nil) }
    }

    func session(_ session: Session, didReceiveReset code: ErrorCode, on stream: Stream) {
        cluster.count(.resetsReceived)
    }

    func session(_ session: Session, didSendData count: Int, on stream: Stream) {
        withExchange(stream) { $0.upstreamSent(count) }
    }

    func session(_ session: Session, didSendHeadersOn stream: Stream) {}

    func session(_ session: Session, didClose stream: Stream, code: ErrorCode) {
        if stream.uncountedOwner == nil {
            if let verification {
                verificationEnded(verification.verdict(isComplete: stream.remoteEnded, reset: stream.resetByPeer))
            }
            return
        }
        endpoint.activeStreams.subtract(1, ordering: .relaxed)
        cluster.count(.streamsActive, -1)
        withExchange(stream) { $0.upstreamClosed(closing(of: stream, code)) }
        streamEnded(session)
    }

    private func closing(of stream: Stream, _ code: ErrorCode) -> UpstreamClosing {
        if stream.remoteEnded { return .completed }
        if let loss {
            return stream.headersSent ? .failed(loss) : .unsent(connectFailure(loss))
        }
        if stream.resetByUs { return .completed }
        let refusal = Failure(.connectFailure, "\(endpoint.name) of cluster \(cluster.cluster.name) refused the stream")
        if let reset = stream.resetByPeer {
            return reset == .refusedStream ? .refused(refusal) : .reset(reset)
        }
        if code == .refusedStream {
            // The library closes what is above GOAWAY's last id, and what it could not send after a GOAWAY.
            return stream.headersSent ? .refused(refusal) : .unsent(refusal)
        }
        if !stream.headersSent { return .unsent(refusal) }
        if code == .noError { return .completed }
        return .failed(Failure(.upstreamProtocolError, "sent a malformed response (\(code))"))
    }

    func sessionDidReceiveSettings(_ session: Session) {
        settingsArrived()
    }

    func sessionDidReceiveSettingsAck(_ session: Session) {}

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
        beginDraining(Failure(.connectFailure, "said GOAWAY (\(code)) before it took a stream"))
    }

    func sessionDidReceivePingAck(_ session: Session) {}

    func session(_ session: Session, didSendReset code: ErrorCode, on streamID: Int32, provoked: Bool) {
        cluster.count(.resetsSent)
    }

    func sessionIsNearGlitchLimit(_ session: Session) {
        beginDraining()
    }
}
