import DataPlane
import HTTP2
import NIOCore
import Policy

/// One caller's connection to an echo task. Confined to its loop.
final class EchoConnection {
    let behaviour: EchoBehaviour
    /// The number of the connection at its task, from 1.
    let number: Int
    let peer: String
    private let turn: Turn
    private let blocks = HeaderBlockPool(capacity: 16)
    private var session: Session?
    private var transport: Transport?
    private let onClose: (EchoConnection) -> Void

    init(
        behaviour: EchoBehaviour, number: Int, peer: String, turn: Turn, onClose: @escaping (EchoConnection) -> Void
    ) {
        self.behaviour = behaviour
        self.number = number
        self.peer = peer
        self.turn = turn
        self.onClose = onClose
    }

    func makeTransport() -> Transport {
        var settings = SessionSettings(Limits())
        settings.streamWindowBytes = 1024 * 1024
        let session = Session(role: .server, settings: settings, blocks: blocks, delegate: self)
        let transport = Transport(session: session, turn: turn, owner: self, speaksFirst: false)
        self.session = session
        self.transport = transport
        return transport
    }

    func submitResponse(_ headers: HeaderBlock, body: BodyQueue?, on stream: Stream) {
        session?.submitResponse(headers, body: body, on: stream)
        transport?.markDirty()
    }

    func resumeBody(_ stream: Stream) {
        session?.resumeBody(stream)
        transport?.markDirty()
    }

    func run(after delay: Duration, _ body: @escaping () -> Void) {
        let bound = NIOLoopBound(body, eventLoop: turn.eventLoop)
        turn.eventLoop.scheduleTask(in: .nanoseconds(delay.nanoseconds)) { bound.value() }
    }

    func nextTurn(_ body: @escaping () -> Void) {
        let bound = NIOLoopBound(body, eventLoop: turn.eventLoop)
        turn.eventLoop.execute { bound.value() }
    }

    /// GOAWAY; the connection closes with its last stream.
    func drain() {
        session?.announceShutdown()
        transport?.markDirty()
        run(after: .milliseconds(100)) { [self] in
            session?.goAway(.noError)
            transport?.markDirty()
        }
    }

    func closeNow() {
        transport?.closeNow()
    }

    private func call(_ stream: Stream) -> EchoCall? {
        stream.owner as? EchoCall
    }
}

extension EchoConnection: SessionDelegate {
    func session(
        _ session: Session, didReceive headers: HeaderBlock, kind: HeaderKind, on stream: Stream, endStream: Bool
    ) {
        defer { blocks.give(headers) }
        guard kind == .head else {
            call(stream)?.receiveEnd()
            return
        }
        guard headers.contains(.grpcTimeout) || isGRPC(headers) else {
            answerPlain(headers, on: stream)
            return
        }
        let call = EchoCall(connection: self, stream: stream, request: headers)
        stream.owner = call
        call.start()
        if endStream { call.receiveEnd() }
    }

    private func isGRPC(_ headers: HeaderBlock) -> Bool {
        headers.value(.contentType)?.starts(with: "application/grpc".utf8) ?? false
    }

    /// Somebody without gRPC at hand (curl, a conformance suite): says who answers.
    private func answerPlain(_ request: HeaderBlock, on stream: Stream) {
        let isHead = request.value(.method)?.elementsEqual("HEAD".utf8) ?? false
        let text = "\(behaviour.name): connection \(number) from \(peer)\n"
        let headers = HeaderBlock()
        headers.append(":status", literal: "200")
        headers.append("content-type", literal: "text/plain")
        headers.append("content-length", String(text.utf8.count).utf8)
        let body = BodyQueue()
        if !isHead { body.append(ByteBuffer(string: text)) }
        body.finish()
        submitResponse(headers, body: body, on: stream)
    }

    func session(_ session: Session, didReceiveData count: Int, on stream: Stream) {
        session.creditConnection(count)
        if let call = call(stream) {
            call.receive(count, from: session)
        } else {
            session.creditStream(stream, count)
        }
    }

    func session(_ session: Session, didReceiveEndOf stream: Stream) {
        call(stream)?.receiveEnd()
    }

    func session(_ session: Session, didSendData count: Int, on stream: Stream) {
        call(stream)?.didSend(session)
    }

    func session(_ session: Session, didClose stream: Stream, code: ErrorCode) {}
}

extension EchoConnection: TransportOwner {
    func transport(_ transport: Transport, didRead count: Int, now: Int64) {}
    func transport(_ transport: Transport, didWrite count: Int) {}
    func transport(_ transport: Transport, didFail error: SessionError) {}

    func transportDidClose(_ transport: Transport, error: (any Error)?) {
        session?.sweep(.cancel)
        session = nil
        self.transport = nil
        onClose(self)
    }
}
