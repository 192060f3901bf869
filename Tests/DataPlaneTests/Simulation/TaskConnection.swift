import CNghttp2
import NIOCore
import Policy

@testable import HTTP2

/// One connection to a task, from the task's side.
final class TaskConnection: SimulatedPeer, CustomStringConvertible {
    private let host: SimulatedHost
    /// In the order of their coming.
    private var services: [Service] = []
    /// A connection on which nobody speaks HTTP/2.
    private var mute: Link?

    /// One stream.
    private final class Service {
        let attempt: SimulatedAttempt
        let stream: HTTP2.Stream
        let body = BodyQueue()
        var hasBegun = false
        var isStruck = false
        /// Nanoseconds until the caller of the stream gets credit for what it sent.
        let readDelay: Int64
        let isGRPC: Bool

        init(attempt: SimulatedAttempt, stream: HTTP2.Stream, readDelay: Int64, isGRPC: Bool) {
            self.attempt = attempt
            self.stream = stream
            self.readDelay = readDelay
            self.isGRPC = isGRPC
        }
    }

    init(host: SimulatedHost) {
        self.host = host
        super.init(world: host.world)
    }

    var description: String { "task \(host.endpoint.name)" }

    /// Holds a connection without a session.
    func stay(on link: Link) {
        mute = link
    }

    override func close(abruptly: Bool) {
        super.close(abruptly: abruptly)
        mute?.peerCloses(abruptly: abruptly)
        mute = nil
    }

    override func linkEnded() {
        super.linkEnded()
        mute = nil
    }

    // MARK: Commands

    func goAway(refuses: Bool) {
        guard let session else { return }
        var last = nghttp2_session_get_last_proc_stream_id(session.raw)
        if refuses {
            // It cannot say that it has not looked at what it has answered.
            for service in services.reversed() {
                if service.hasBegun || host.chance.hits(30) { break }
                last = service.stream.id - 2
                service.attempt.isRefused = true
            }
        }
        world.ledger.note(host.address.port, Int(max(last, 0)), "\(self) says GOAWAY \(last)")
        nghttp2_submit_goaway(session.raw, 0, max(last, 0), 0, nil, 0)
        pumpSoon()
    }

    func limitStreams(to count: Int) {
        guard let session else { return }
        var entry = nghttp2_settings_entry(
            settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue), value: UInt32(count))
        nghttp2_submit_settings(session.raw, 0, &entry, 1)
        pumpSoon()
    }

    func endWhatHangs() {
        if world.sabotage == .hangingStream { return }
        for service in services {
            if case .never = service.attempt.act { session?.reset(service.stream, .cancel) }
        }
        if mute != nil { close(abruptly: true) }
        pumpSoon()
    }

    // MARK: Serving

    private func begin(_ service: Service) {
        guard service.stream.isOpen, !service.hasBegun, let session else { return }
        service.hasBegun = true
        let id = String(service.attempt.number)
        var head: Fields = [(":status", "200"), ("x-attempt", id), ("x-call", String(service.attempt.call))]
        if service.isGRPC { head.append(("content-type", "application/grpc")) }
        if case .trailersOnly(let status) = service.attempt.act {
            head.append(("grpc-status", String(status)))
            service.attempt.status = status
            service.attempt.isAnswered = true
            session.submitResponse(.make(head), body: nil, on: service.stream)
        } else {
            if host.chance.hits(5) {
                session.submitInformational(.make([(":status", "103"), ("link", "</a>")]), on: service.stream)
            }
            session.submitResponse(.make(head), body: service.body, on: service.stream)
        }
        pumpSoon()
    }

    private func send(_ bytes: ByteBuffer, on service: Service) {
        var buffer = bytes
        switch world.sabotage {
        case .wrongByte:
            let start = buffer.readerIndex
            if let first: UInt8 = buffer.getInteger(at: start) { buffer.setInteger(~first, at: start) }
        case .missingByte: buffer.moveReaderIndex(forwardBy: min(1, buffer.readableBytes))
        default: break
        }
        service.attempt.sent += buffer.readableBytes
        service.body.append(buffer)
        if service.hasBegun { session?.resumeBody(service.stream) }
        pumpSoon()
    }

    private func finish(_ service: Service) {
        guard !service.attempt.isAnswered else { return }
        service.attempt.isAnswered = true
        if service.isGRPC, service.attempt.act != .statusMissing {
            service.body.finish(
                trailers: .make([("grpc-status", "0"), ("x-attempt", String(service.attempt.number))]))
        } else {
            service.body.finish()
        }
        if service.hasBegun { session?.resumeBody(service.stream) }
        pumpSoon()
    }

    private func beginLater(_ service: Service) {
        let delay = host.thinks == 0 ? 0 : host.chance.time(0, host.thinks)
        world.loop.after(delay) { [self] in begin(service) }
    }

    /// The head of a request is here.
    private func took(_ service: Service) {
        switch service.attempt.act {
        case .echo, .statusMissing, .never(head: true): beginLater(service)
        case .goAway(let refuses):
            goAway(refuses: refuses)
            beginLater(service)
        case .trailersOnly: beginLater(service)
        case .early(let count):
            send(Pattern.slice(of: service.attempt.call, at: 0, count: count), on: service)
            finish(service)
            beginLater(service)
        case .refuse:
            service.attempt.isRefused = world.sabotage != .secondExecution
            session?.reset(service.stream, .refusedStream)
            pumpSoon()
        case .reset, .die: strikeIfDue(service)
        case .echoAtEnd, .never(head: false): break
        }
    }

    private func strikeIfDue(_ service: Service, atEnd: Bool = false) {
        guard !service.isStruck else { return }
        switch service.attempt.act {
        case .reset(let code, let count) where atEnd || service.attempt.received >= count:
            service.isStruck = true
            session?.reset(service.stream, ErrorCode(rawValue: code))
            pumpSoon()
        case .die(let count, let abruptly) where atEnd || service.attempt.received >= count:
            service.isStruck = true
            world.loop.soon { [self] in close(abruptly: abruptly) }
        default:
            break
        }
    }

    private func tookEnd(_ service: Service) {
        service.attempt.isRequestComplete = true
        switch service.attempt.act {
        case .echo, .statusMissing, .goAway: finish(service)
        case .echoAtEnd:
            finish(service)
            beginLater(service)
        case .reset, .die: strikeIfDue(service, atEnd: true)
        case .early, .trailersOnly, .refuse, .never: break
        }
    }

    // MARK: SessionDelegate

    private func service(_ stream: HTTP2.Stream) -> Service? {
        stream.owner as? Service
    }

    override func session(
        _ session: Session, didReceive headers: HeaderBlock, kind: HeaderKind, on stream: HTTP2.Stream, endStream: Bool
    ) {
        defer { world.blocks.give(headers) }
        if kind == .trailers {
            if let service = service(stream) { tookEnd(service) }
            return
        }
        guard let call = headers.number("x-call") else {
            answerHealthCheck(stream)
            return
        }
        let attempt = world.ledger.makeAttempt(of: call, task: host.endpoint.name, act: host.draw())
        let service = Service(
            attempt: attempt, stream: stream,
            readDelay: host.chance.hits(host.faults / 4) ? host.chance.time(1, 300) : 0,
            isGRPC: headers.contains(.contentType))
        stream.owner = service
        services.append(service)
        took(service)
        if endStream { tookEnd(service) }
    }

    override func session(_ session: Session, didReceiveData count: Int, on stream: HTTP2.Stream) {
        let buffer = takeData(session)
        guard let service = service(stream) else {
            credit(session, stream, count, after: 0)
            return
        }
        credit(session, stream, count, after: service.readDelay)
        let attempt = service.attempt
        if !Pattern.matches(buffer, call: attempt.call, at: attempt.received) {
            world.ledger.violate("attempt \(attempt.number) of call \(attempt.call): wrong bytes")
        }
        attempt.received += count
        world.ledger.note(attempt.number, attempt.received, "attempt \(attempt.number) has \(attempt.received) bytes")
        switch attempt.act {
        case .echo, .echoAtEnd, .statusMissing, .goAway: send(buffer, on: service)
        case .reset, .die: strikeIfDue(service)
        case .early, .trailersOnly, .refuse, .never: break
        }
    }

    override func session(_ session: Session, didReceiveEndOf stream: HTTP2.Stream) {
        if let service = service(stream) { tookEnd(service) }
    }

    override func session(_ session: Session, didClose stream: HTTP2.Stream, code: ErrorCode) {
        guard let service = service(stream) else { return }
        service.attempt.isOver = true
        // Those that came between the word of GOAWAY and its leaving.
        if code == .refusedStream, world.sabotage != .secondExecution { service.attempt.isRefused = true }
        services.removeAll { $0 === service }
        world.ledger.note(
            service.attempt.number, Int(code.rawValue), "attempt \(service.attempt.number) is over (\(code))")
    }

    private func answerHealthCheck(_ stream: HTTP2.Stream) {
        let body = BodyQueue()
        body.append(ByteBuffer(bytes: [0, 0, 0, 0, 2, 8, 1]))
        body.finish(trailers: .make([("grpc-status", "0")]))
        session?.submitResponse(
            .make([(":status", "200"), ("content-type", "application/grpc")]), body: body, on: stream)
        pumpSoon()
    }
}
