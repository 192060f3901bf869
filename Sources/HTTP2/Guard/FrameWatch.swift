/// Looks at every frame header before libnghttp2 does: closes the gaps in its answers to frames on closed streams,
/// counts what floods are made of, and says when a connection has to end.
///
/// The weights: an unknown, PRIORITY, empty DATA, excess PING or excess WINDOW_UPDATE frame 1, SETTINGS 10, HEADERS
/// on a closed stream 10, a reset that the peer provoked 50. DATA on a stream that *we* reset is honest and costs
/// nothing.
struct FrameWatch {
    var scanner: FrameScanner
    private let role: Session.Role
    private let settings: SessionSettings
    private var closed: ClosedStreams
    private var glitches: TokenBucket
    private var provokedResets: TokenBucket
    private var provokedTooOften = false
    private var wasNearLimit = false
    /// Glitches charged over the connection's life.
    private(set) var glitchCount = 0

    /// The highest stream id the peer has opened.
    private var highestID: Int32 = 0
    /// A stream known to be open as of the last look.
    private var freshID: Int32 = 0

    /// Whether a header block has begun and not ended.
    private(set) var isInHeaderBlock = false
    /// Header blocks begun so far.
    private(set) var headerBlocks = 0
    private var blockBytes = 0
    private var continuations = 0
    private var emptyDataInRow = 0
    private var pingsSinceSent = 0
    private var windowUpdates = 0
    private var dataFramesSent = 0

    private static let emptyDataInRowMax = 10
    private static let freePings = 3

    init(role: Session.Role, settings: SessionSettings) {
        self.role = role
        self.settings = settings
        scanner = FrameScanner(expectsPreface: role == .server)
        closed = ClosedStreams(streams: settings.maxConcurrentStreams)
        glitches = TokenBucket(burst: settings.glitchBurst, ratePerSecond: settings.glitchRate)
        provokedResets = TokenBucket(burst: settings.provokedResetBurst, ratePerSecond: settings.provokedResetRate)
    }

    /// Whether the verdict on this frame depends on whether its stream is open, so that everything before the frame
    /// has to be processed first.
    func needsStreamState(_ frame: FrameScanner.Frame) -> Bool {
        switch frame.type {
        case FrameScanner.FrameType.data: frame.streamID != freshID
        case FrameScanner.FrameType.headers: role == .client || frame.streamID <= highestID
        default: false
        }
    }

    /// Judges a frame by its header.
    /// - Returns: why the connection has to end, or nil.
    mutating func inspect(_ frame: FrameScanner.Frame, session: Session) -> SessionError? {
        if provokedTooOften {
            return SessionError(
                reason: .provokedResets, code: .enhanceYourCalm, message: "too many streams that had to be reset")
        }
        switch frame.type {
        case FrameScanner.FrameType.data: return inspectData(frame, session)
        case FrameScanner.FrameType.headers: return inspectHeaders(frame, session)
        case FrameScanner.FrameType.continuation: return inspectContinuation(frame)
        case FrameScanner.FrameType.priority:
            if frame.streamID == 0 { return violation(.protocolError, "PRIORITY on stream 0") }
            if frame.length != 5 { return violation(.frameSizeError, "PRIORITY of \(frame.length) bytes") }
            return charge(1, session)
        case FrameScanner.FrameType.resetStream:
            if frame.streamID == freshID { freshID = 0 }
            return nil
        case FrameScanner.FrameType.settings:
            return frame.has(FrameScanner.Flag.ack) ? nil : charge(10, session)
        case FrameScanner.FrameType.ping:
            if frame.has(FrameScanner.Flag.ack) { return nil }
            pingsSinceSent += 1
            return pingsSinceSent > Self.freePings ? charge(1, session) : nil
        case FrameScanner.FrameType.windowUpdate:
            windowUpdates += 1
            let allowed = 5 + 2 * (session.streamCount + 10 * dataFramesSent)
            return windowUpdates > allowed ? charge(1, session) : nil
        case FrameScanner.FrameType.goAway, FrameScanner.FrameType.pushPromise:
            return nil
        default:
            return charge(1, session)
        }
    }

    private mutating func inspectData(_ frame: FrameScanner.Frame, _ session: Session) -> SessionError? {
        if frame.length == 0, !frame.has(FrameScanner.Flag.endStream) {
            emptyDataInRow += 1
            if emptyDataInRow > Self.emptyDataInRowMax {
                return SessionError(
                    reason: .glitches, code: .enhanceYourCalm, message: "\(emptyDataInRow) empty DATA frames in a row")
            }
            if let error = charge(1, session) { return error }
        } else {
            emptyDataInRow = 0
        }
        if frame.streamID == freshID { return nil }
        if session.isKnown(frame.streamID) {
            freshID = frame.streamID
            return nil
        }
        switch closed.ending(of: frame.streamID) {
        case .finishedByPeer, .skipped: return violation(.streamClosed, "DATA on closed stream \(frame.streamID)")
        case .resetByUs, .forgotten: return nil
        }
    }

    private mutating func inspectHeaders(_ frame: FrameScanner.Frame, _ session: Session) -> SessionError? {
        isInHeaderBlock = !frame.has(FrameScanner.Flag.endHeaders)
        headerBlocks += 1
        blockBytes = frame.length
        continuations = 0
        let id = frame.streamID
        // Even ids are the library's to refuse.
        if role == .server, id > highestID, id & 1 == 1 {
            closed.noteOpened(id, after: highestID)
            highestID = id
            freshID = id
            return nil
        }
        if session.isKnown(id) { return nil }
        switch closed.ending(of: id) {
        case .finishedByPeer: return violation(.streamClosed, "HEADERS on closed stream \(id)")
        case .skipped: return violation(.protocolError, "stream \(id) opened after stream \(highestID)")
        case .resetByUs: return nil
        case .forgotten: return charge(10, session)
        }
    }

    private mutating func inspectContinuation(_ frame: FrameScanner.Frame) -> SessionError? {
        if frame.has(FrameScanner.Flag.endHeaders) { isInHeaderBlock = false }
        blockBytes += frame.length
        continuations += 1
        // On the wire a block that is to be answered (over the soft limit) may be somewhat larger than that limit.
        guard continuations > settings.maxContinuationFrames || blockBytes > settings.maxHeaderBytes * 3 / 2 else {
            return nil
        }
        return SessionError(
            reason: .continuationFlood, code: .enhanceYourCalm,
            message: "header block of \(blockBytes) bytes in \(continuations) CONTINUATION frames")
    }

    /// Notes that a stream of this session is gone.
    mutating func noteClosed(_ stream: Stream) {
        if stream.id == freshID { freshID = 0 }
        let finished = stream.remoteEnded || stream.resetByPeer != nil
        closed.insert(stream.id, finished ? .finishedByPeer : .resetByUs)
    }

    /// Notes that HEADERS or DATA went out: pings and window updates are fair again.
    mutating func noteSent(data: Bool) {
        pingsSinceSent = 0
        if data { dataFramesSent += 1 }
    }

    /// Notes that the library reset a stream because of what the peer sent on it.
    mutating func noteProvokedReset(now: Int64) {
        glitchCount += 50
        let covered = glitches.take(50, now: now)
        if !provokedResets.take(1, now: now) || !covered { provokedTooOften = true }
    }

    private mutating func charge(_ weight: Int, _ session: Session) -> SessionError? {
        glitchCount += weight
        guard glitches.take(weight, now: session.inputNow) else {
            return SessionError(reason: .glitches, code: .enhanceYourCalm, message: "too many suspicious frames")
        }
        if !wasNearLimit, glitches.left < settings.glitchBurst / 4 {
            wasNearLimit = true
            session.delegate.sessionIsNearGlitchLimit(session)
        }
        return nil
    }

    private func violation(_ code: ErrorCode, _ message: String) -> SessionError {
        SessionError(reason: .protocolError, code: code, message: message)
    }
}
