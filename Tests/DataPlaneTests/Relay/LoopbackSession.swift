import HTTP2
import NIOCore

/// Joins a session to a channel in the simplest way: what it has to say is written after every read and command.
/// Hears everything and does nothing; callers and tasks override what concerns them. Confined to its loop.
class LoopbackSession: ChannelInboundHandler, SessionDelegate {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private(set) var session: Session?
    private(set) var context: ChannelHandlerContext?
    /// Keeps the blocks that come in; sessions of one loop may share it, these do not.
    let blocks = HeaderBlockPool()

    func start(_ role: Session.Role, _ settings: SessionSettings) {
        session = Session(role: role, settings: settings, blocks: blocks, delegate: self)
    }

    func flush() {
        guard let context, let session, context.channel.isActive else { return }
        while session.produce(limit: session.output.readableBytes + 65_536) {}
        if session.output.readableBytes > 0 {
            context.writeAndFlush(wrapOutboundOut(session.output), promise: nil)
            session.output.clear()
        }
    }

    /// Writes bytes that no session would.
    func writeRaw(_ bytes: [UInt8]) {
        flush()
        context?.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
    }

    // MARK: Channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        flush()
    }

    func channelActive(context: ChannelHandlerContext) {
        flush()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        do throws(SessionError) {
            try session?.receive(buffer, now: Int64(NIODeadline.now().uptimeNanoseconds))
        } catch {
            flush()
            context.close(promise: nil)
        }
        flush()
    }

    func channelInactive(context: ChannelHandlerContext) {
        session?.sweep(.internalError)
        session = nil
        self.context = nil
    }

    // MARK: SessionDelegate

    func session(
        _ session: Session, didReceive headers: HeaderBlock, kind: HeaderKind, on stream: Stream, endStream: Bool
    ) {}
    func session(_ session: Session, didReceiveData count: Int, on stream: Stream) {}
    func session(_ session: Session, didReceiveEndOf stream: Stream) {}
    func session(_ session: Session, didReceiveReset code: ErrorCode, on stream: Stream) {}
    func session(_ session: Session, didSendData count: Int, on stream: Stream) {}
    func session(_ session: Session, didSendHeadersOn stream: Stream) {}
    func session(_ session: Session, didClose stream: Stream, code: ErrorCode) {}
    func sessionDidReceiveSettings(_ session: Session) {}
    func sessionDidReceiveSettingsAck(_ session: Session) {}
    func session(_ session: Session, didReceiveGoAway lastStreamID: Int32, code: ErrorCode, debug: String) {}
    func sessionDidReceivePingAck(_ session: Session) {}
    func session(_ session: Session, didSendReset code: ErrorCode, on streamID: Int32, provoked: Bool) {}
    func sessionIsNearGlitchLimit(_ session: Session) {}

    /// The bytes of the running data callback; credit is given at once.
    func takeData(_ session: Session, _ count: Int, _ stream: Stream) -> [UInt8] {
        let queue = BodyQueue()
        session.takeData(into: queue)
        session.creditConnection(count)
        session.creditStream(stream, count)
        return Array(queue.readAll().readableBytesView)
    }
}

typealias Fields = [(name: String, value: String)]

extension HeaderBlock {
    static func make(_ fields: Fields) -> HeaderBlock {
        let block = HeaderBlock()
        for field in fields { block.append(name: field.name.utf8, value: field.value.utf8) }
        return block
    }

    /// Fields by name; of those that stand twice the values, joined.
    var dictionary: [String: String] {
        Dictionary(textFields.map { ($0.name, $0.value) }, uniquingKeysWith: { "\($0), \($1)" })
    }
}
