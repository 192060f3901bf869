package import HTTP2
package import NIOCore

/// What a connection's owner is told by its ``Transport``.
package protocol TransportOwner: AnyObject {
    /// Bytes were read and given to the session, whose delegate has heard what they mean.
    /// - Parameter now: nanoseconds of the monotonic clock.
    func transport(_ transport: Transport, didRead count: Int, now: Int64)
    /// Bytes were handed to the socket.
    func transport(_ transport: Transport, didWrite count: Int)
    /// The peer broke the session; GOAWAY is on its way and the close follows.
    func transport(_ transport: Transport, didFail error: SessionError)
    /// The connection is gone. The session's streams have not been swept yet.
    func transportDidClose(_ transport: Transport, error: (any Error)?)
}

/// Joins a ``HTTP2/Session`` to a NIO channel: the only place where bytes of HTTP/2 meet a socket.
///
/// Reads go to the session at once; writes happen in ``flush()``, at the end of the turn. The session is asked for
/// bytes only while the channel is writable, so that what waits stays where back-pressure can see it.
package final class Transport: ChannelInboundHandler {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    package let session: Session
    private let turn: Turn
    /// Held until the connection is closed, since the channel may end later than anybody else has use for it.
    private var owner: (any TransportOwner)?
    private var context: ChannelHandlerContext?
    private var isDirty = false
    private var isClosing = false
    package private(set) var isClosed = false
    private var closeError: (any Error)?

    /// When the channel last stopped taking bytes; nil while it takes them. Nanoseconds of the monotonic clock.
    package private(set) var blockedSince: Int64?

    /// Bytes of one write.
    private static let writeSize = 128 * 1024
    /// After a write below this, memory of a burst is let go.
    private static let smallWrite = 4 * 1024
    /// Writes of one connection in one turn: then the others have theirs.
    private static let writesPerTurn = 8
    /// After the last word: how long to go on reading so that unread bytes do not turn our close into a TCP reset that
    /// would eat the GOAWAY.
    private static let lingerTime = TimeAmount.seconds(1)

    /// Whether the session's first bytes leave at once (a client's preface) or wait for the peer's.
    private let speaksFirst: Bool

    package init(session: Session, turn: Turn, owner: any TransportOwner, speaksFirst: Bool) {
        self.speaksFirst = speaksFirst
        self.session = session
        self.turn = turn
        self.owner = owner
    }

    package var channel: (any Channel)? { context?.channel }

    /// Has the session's bytes written at the end of this turn.
    @inline(__always)
    package func markDirty() {
        if isDirty { return }
        isDirty = true
        turn.enqueue(self)
    }

    /// Writes what the session has to say and closes.
    package func closeAfterFlush() {
        isClosing = true
        markDirty()
    }

    /// Closes now.
    package func closeNow(_ error: (any Error)? = nil) {
        guard let context, !isClosed else { return }
        closeError = closeError ?? error
        context.close(promise: nil)
    }

    /// Lets go of the owner of a transport whose channel was never made.
    package func abandon() {
        isClosed = true
        owner = nil
    }

    // MARK: Channel

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if speaksFirst, context.channel.isActive { markDirty() }
    }

    package func channelActive(context: ChannelHandlerContext) {
        if speaksFirst { markDirty() }
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        if isClosing || isClosed { return }
        let now = turn.now
        do throws(SessionError) {
            try session.receive(buffer, now: now)
        } catch {
            isClosing = true
            owner?.transport(self, didFail: error)
        }
        owner?.transport(self, didRead: buffer.readableBytes, now: now)
        markDirty()
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            blockedSince = nil
            markDirty()
        } else {
            blockedSince = turn.now
        }
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        closeError = closeError ?? error
        context.close(promise: nil)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        finish()
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        finish()
        self.context = nil
    }

    private func finish() {
        if isClosed { return }
        isClosed = true
        owner?.transportDidClose(self, error: closeError)
        owner = nil
    }

    // MARK: Writing

    /// Runs at the end of a turn.
    func flush() {
        isDirty = false
        guard let context, !isClosed else { return }
        var writes = 0
        while context.channel.isWritable {
            let isMore = session.produce(limit: Self.writeSize)
            let count = session.output.readableBytes
            if count == 0 { break }
            context.writeAndFlush(wrapOutboundOut(session.output), promise: nil)
            // The channel has let go of the buffer if it could write all of it, and then this keeps the memory.
            session.output.clear()
            if count < Self.smallWrite { session.trimOutput() }
            owner?.transport(self, didWrite: count)
            if !isMore { break }
            writes += 1
            if writes == Self.writesPerTurn {
                markDirty()
                return
            }
        }
        if session.isBroken {
            closeNow()
            return
        }
        if context.channel.isWritable || isClosing, isClosing || session.isDone { linger(context) }
    }

    private var isLingering = false

    private func linger(_ context: ChannelHandlerContext) {
        if isLingering { return }
        isLingering = true
        isClosing = true
        if speaksFirst {
            // A server reads our GOAWAY or it does not; our streams need to know at once.
            closeNow()
            return
        }
        context.close(mode: .output, promise: nil)
        let bound = NIOLoopBound(self, eventLoop: turn.eventLoop)
        turn.eventLoop.scheduleTask(in: Self.lingerTime) { bound.value.closeNow() }
    }
}

@available(*, unavailable)
extension Transport: Sendable {}
