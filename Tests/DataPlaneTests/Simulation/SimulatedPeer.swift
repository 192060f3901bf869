import HTTP2
import NIOCore

/// The other end of a link of the proxy's: a caller's or a task's connection, with a session of its own. Hears
/// everything and does nothing.
class SimulatedPeer: SessionDelegate {
    let world: World
    private(set) var session: Session?
    private(set) var link: Link?
    private var isPumpDue = false
    /// When the proxy wrote what is being read.
    private(set) var writtenAt: Int64 = 0
    /// Whether it has ever been kept from reading.
    private(set) var wasStalled = false

    init(world: World) {
        self.world = world
    }

    func start(_ role: Session.Role, _ settings: SessionSettings, on link: Link) {
        self.link = link
        session = Session(role: role, settings: settings, blocks: world.blocks, delegate: self)
        pumpSoon()
    }

    // MARK: Link

    func receive(_ pieces: [(buffer: ByteBuffer, writtenAt: Int64)]) {
        for piece in pieces {
            guard let session else { return }
            writtenAt = piece.writtenAt
            do throws(SessionError) {
                try session.receive(piece.buffer, now: world.loop.time)
            } catch {
                world.ledger.violate("\(self) was sent something that breaks HTTP/2: \(error)")
                close(abruptly: true)
                return
            }
        }
        pump()
    }

    func drained() {
        pump()
    }

    /// The link is gone; the end of what was on it.
    func linkEnded() {
        link = nil
        writtenAt = world.loop.time
        session?.sweep(.internalError)
        session = nil
    }

    func close(abruptly: Bool) {
        if let link { link.peerCloses(abruptly: abruptly) }
    }

    /// Has what the session has to say written when what runs now is over: commands are given inside its callbacks.
    func pumpSoon() {
        if isPumpDue { return }
        isPumpDue = true
        world.loop.soon { [self] in
            isPumpDue = false
            pump()
        }
    }

    private func pump() {
        guard let session else { return }
        while let link, link.toProxy.queued < link.toProxy.capacity {
            let isMore = session.produce(limit: 16_384)
            if session.output.readableBytes == 0 { break }
            link.toProxy.write(session.output)
            session.output.clear()
            didPump(link)
            if !isMore { break }
        }
        if session.isDone { close(abruptly: false) }
    }

    /// Bytes were handed to the link.
    func didPump(_ link: Link) {}

    /// Stops to read for a while.
    func stall(for time: Int64) {
        guard let link else { return }
        wasStalled = true
        link.toPeer.isStalled = true
        world.loop.after(time) { link.toPeer.isStalled = false }
    }

    /// The bytes of the running data callback.
    func takeData(_ session: Session) -> ByteBuffer {
        let queue = BodyQueue()
        session.takeData(into: queue)
        return queue.readAll()
    }

    /// Gives the sender credit for received bytes, at once or after a while.
    func credit(_ session: Session, _ stream: HTTP2.Stream, _ count: Int, after delay: Int64) {
        session.creditConnection(count)
        if delay == 0 || world.isCalm {
            session.creditStream(stream, count)
            return
        }
        world.loop.after(delay) { [self] in
            guard let session = self.session else { return }
            session.creditStream(stream, count)
            pump()
        }
    }

    // MARK: SessionDelegate

    func session(
        _ session: Session, didReceive headers: HeaderBlock, kind: HeaderKind, on stream: HTTP2.Stream, endStream: Bool
    ) {}
    func session(_ session: Session, didReceiveData count: Int, on stream: HTTP2.Stream) {}
    func session(_ session: Session, didReceiveEndOf stream: HTTP2.Stream) {}
    func session(_ session: Session, didReceiveReset code: ErrorCode, on stream: HTTP2.Stream) {}
    func session(_ session: Session, didSendData count: Int, on stream: HTTP2.Stream) {}
    func session(_ session: Session, didSendHeadersOn stream: HTTP2.Stream) {}
    func session(_ session: Session, didClose stream: HTTP2.Stream, code: ErrorCode) {}
    func sessionDidReceiveSettings(_ session: Session) {}
    func sessionDidReceiveSettingsAck(_ session: Session) {}
    func session(_ session: Session, didReceiveGoAway lastStreamID: Int32, code: ErrorCode, debug: String) {}
    func sessionDidReceivePingAck(_ session: Session) {}
    func session(_ session: Session, didSendReset code: ErrorCode, on streamID: Int32, provoked: Bool) {}
    func sessionIsNearGlitchLimit(_ session: Session) {}
}

extension HeaderBlock {
    /// The value of a field as a number.
    func number(_ wanted: String) -> Int? {
        for index in 0..<count where name(at: index).elementsEqual(wanted.utf8) {
            return Int(String(decoding: value(at: index), as: UTF8.self))
        }
        return nil
    }

    /// The value of a field as text.
    func text(_ wanted: String) -> String? {
        for index in 0..<count where name(at: index).elementsEqual(wanted.utf8) {
            return String(decoding: value(at: index), as: UTF8.self)
        }
        return nil
    }
}
