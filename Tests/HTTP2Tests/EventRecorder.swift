import NIOCore

@testable import HTTP2

/// Writes down what a session tells. DATA callbacks in a row are one event: how bytes were cut is nobody's business.
final class EventRecorder: SessionDelegate {
    enum Event: Equatable {
        case headers(Int32, HeaderKind, [String], endStream: Bool)
        case data(Int32, [UInt8])
        case end(Int32)
        case reset(Int32, ErrorCode)
        case closed(Int32, ErrorCode)
        case sentHeaders(Int32)
        case sentReset(Int32, ErrorCode, provoked: Bool)
        case settings
        case settingsAck
        case goAway(last: Int32, ErrorCode, debug: String)
        case pingAck
        case nearGlitchLimit
    }

    private(set) var events: [Event] = []
    /// Streams that were heard of and are open.
    private(set) var streams: [Int32: Stream] = [:]
    /// Blocks that are kept instead of being turned into text and handed back.
    private(set) var keptBlocks: [HeaderBlock] = []
    var keepsBlocks = false
    /// Whether received bytes are credited at once.
    var creditsStreams = true
    var creditsConnection = true
    /// Body bytes written to the output, per stream.
    private(set) var dataSent: [Int32: Int] = [:]

    /// Events of one stream.
    func events(on id: Int32) -> [Event] {
        events.filter { event in
            switch event {
            case .headers(let stream, _, _, _), .data(let stream, _), .end(let stream), .reset(let stream, _),
                .closed(let stream, _):
                stream == id
            default:
                false
            }
        }
    }

    /// All body bytes received on a stream.
    func body(on id: Int32) -> [UInt8] {
        events.flatMap { event -> [UInt8] in
            if case .data(id, let bytes) = event { bytes } else { [] }
        }
    }

    func closeCount(of id: Int32) -> Int {
        events.count { if case .closed(id, _) = $0 { true } else { false } }
    }

    // MARK: SessionDelegate

    func session(
        _ session: Session, didReceive headers: HeaderBlock, kind: HeaderKind, on stream: Stream, endStream: Bool
    ) {
        streams[stream.id] = stream
        let fields = headers.textFields.map { "\($0.name): \($0.value)" } + (headers.isTruncated ? ["(truncated)"] : [])
        events.append(.headers(stream.id, kind, fields, endStream: endStream))
        if keepsBlocks { keptBlocks.append(headers) } else { session.blocks.give(headers) }
    }

    func session(_ session: Session, didReceiveData count: Int, on stream: Stream) {
        let queue = BodyQueue()
        session.takeData(into: queue)
        let bytes = Array(queue.readAll().readableBytesView)
        if case .data(stream.id, let before)? = events.last {
            events[events.count - 1] = .data(stream.id, before + bytes)
        } else {
            events.append(.data(stream.id, bytes))
        }
        if creditsConnection { session.creditConnection(count) }
        if creditsStreams { session.creditStream(stream, count) }
    }

    func session(_ session: Session, didReceiveEndOf stream: Stream) {
        events.append(.end(stream.id))
    }

    func session(_ session: Session, didReceiveReset code: ErrorCode, on stream: Stream) {
        events.append(.reset(stream.id, code))
    }

    func session(_ session: Session, didSendData count: Int, on stream: Stream) {
        dataSent[stream.id, default: 0] += count
    }

    func session(_ session: Session, didSendHeadersOn stream: Stream) {
        events.append(.sentHeaders(stream.id))
    }

    func session(_ session: Session, didClose stream: Stream, code: ErrorCode) {
        streams[stream.id] = nil
        events.append(.closed(stream.id, code))
    }

    func sessionDidReceiveSettings(_ session: Session) {
        events.append(.settings)
    }

    func sessionDidReceiveSettingsAck(_ session: Session) {
        events.append(.settingsAck)
    }

    func session(_ session: Session, didReceiveGoAway lastStreamID: Int32, code: ErrorCode, debug: String) {
        events.append(.goAway(last: lastStreamID, code, debug: debug))
    }

    func sessionDidReceivePingAck(_ session: Session) {
        events.append(.pingAck)
    }

    func session(_ session: Session, didSendReset code: ErrorCode, on streamID: Int32, provoked: Bool) {
        events.append(.sentReset(streamID, code, provoked: provoked))
    }

    func sessionIsNearGlitchLimit(_ session: Session) {
        events.append(.nearGlitchLimit)
    }
}
