import HTTP2
import NIOCore

/// A program that calls through the proxy: one connection at a time, a new one when the old one takes no more calls.
final class SimulatedCaller {
    let world: World
    let chance: Chance
    let name: String
    /// Whether it begins calls before it knows how many streams it may have.
    private let isHasty: Bool
    private(set) var connections: [CallerConnection] = []

    init(world: World, chance: Chance, name: String, isHasty: Bool) {
        self.world = world
        self.chance = chance
        self.name = name
        self.isHasty = isHasty
    }

    private func drawSettings() -> SessionSettings {
        var settings = SessionSettings()
        settings.streamWindowBytes = chance.pick([4_096, 65_535, 65_535, 1 << 20])
        settings.connectionWindowBytes = chance.pick([65_535, 1 << 20])
        return settings
    }

    func call(_ plan: CallPlan) {
        place(world.ledger.makeCall(plan))
    }

    /// Puts a call on a connection: the one there is, or a new one.
    fileprivate func place(_ call: SimulatedCall) {
        // The limit is not known yet, and what is over it is refused.
        let isPatient = !isHasty || call.plan.isProbe
        connections.removeAll { $0.session == nil }
        if let connection = connections.last, connection.call(call, isPatient: isPatient) { return }
        let connection = CallerConnection(caller: self, number: connections.count)
        connection.start(.client, drawSettings(), on: world.network.connectCaller(connection))
        connections.append(connection)
        _ = connection.call(call, isPatient: isPatient)
    }

    func close(abruptly: Bool) {
        for connection in connections { connection.close(abruptly: abruptly) }
    }
}

/// One connection of a caller's.
final class CallerConnection: SimulatedPeer, CustomStringConvertible {
    private unowned let caller: SimulatedCaller
    private let number: Int
    /// Calls whose HEADERS were written just now.
    private var leaving: [SimulatedCall] = []
    /// Calls that wait for the proxy's SETTINGS.
    private var waiting: [SimulatedCall] = []

    /// A call on its stream.
    private final class Open {
        let call: SimulatedCall
        let body = BodyQueue()
        var stream: HTTP2.Stream?
        var piecesSent = 0
        var isCancelled = false

        init(_ call: SimulatedCall) {
            self.call = call
        }
    }

    init(caller: SimulatedCaller, number: Int) {
        self.caller = caller
        self.number = number
        super.init(world: caller.world)
    }

    var description: String { "caller \(caller.name)/\(number)" }

    // MARK: Calling

    /// - Returns: false when the connection takes no call.
    func call(_ call: SimulatedCall, isPatient: Bool) -> Bool {
        guard let session, session.takesRequests else { return false }
        if session.settingsReceived || !isPatient { return open(call) }
        waiting.append(call)
        return true
    }

    private func open(_ call: SimulatedCall) -> Bool {
        guard let session, session.takesRequests else { return false }
        let open = Open(call)
        let plan = call.plan
        var fields: Fields = [
            (":method", plan.isGRPC || plan.size > 0 ? "POST" : "GET"), (":scheme", "http"),
            (":path", plan.route.path), (":authority", "echo.local"), ("x-call", String(call.id)),
        ]
        if plan.isGRPC { fields += Caller.grpc }
        if let timeout = plan.timeout {
            let told = world.sabotage == .lateDeadline ? timeout * 2 : timeout
            fields.append(("grpc-timeout", "\(told / 1_000_000)m"))
        }
        let hasBody = plan.isGRPC || plan.size > 0
        guard let stream = session.submitRequest(.make(fields), body: hasBody ? open.body : nil, owner: open)
        else { return false }
        open.stream = stream
        if hasBody { sendPiece(open) }
        if let delay = plan.cancelAfter {
            world.loop.after(delay) { [self] in
                guard let stream = open.stream, let session = self.session else { return }
                world.ledger.note(call.id, 1, "call \(call.id) is cancelled")
                open.isCancelled = true
                session.reset(stream, .cancel)
                pumpSoon()
            }
        }
        pumpSoon()
        return true
    }

    private func sendPiece(_ open: Open) {
        guard let stream = open.stream, !open.body.isFinished else { return }
        let call = open.call
        open.piecesSent += 1
        let isLast = open.piecesSent >= call.plan.pieces
        let end = isLast ? call.plan.size : call.plan.size / call.plan.pieces * open.piecesSent
        let count = end - call.sent
        open.body.append(Pattern.slice(of: call.id, at: call.sent, count: count))
        call.sent = end
        if isLast { open.body.finish() }
        session?.resumeBody(stream)
        pumpSoon()
        // An empty piece has no echo to wait for.
        if isLast { return }
        let sent = open.piecesSent
        // The echo of an empty piece is none, and some tasks wait for the end.
        let patience = !call.plan.isPingPong || count == 0 ? call.plan.gap : Self.echoPatience
        world.loop.after(patience) { [self] in if open.piecesSent == sent { sendPiece(open) } }
    }

    /// Nanoseconds after which a caller goes on without the echo.
    private static let echoPatience: Int64 = 300_000_000

    override func didPump(_ link: Link) {
        if leaving.isEmpty { return }
        let calls = leaving
        leaving.removeAll()
        link.toProxy.whenArrived { [world] in
            for call in calls { call.arrivedAt = world.loop.time }
        }
    }

    // MARK: SessionDelegate

    private func open(_ stream: HTTP2.Stream) -> Open? {
        stream.owner as? Open
    }

    override func sessionDidReceiveSettings(_ session: Session) {
        let calls = waiting
        waiting.removeAll()
        for call in calls where !open(call) { waiting.append(call) }
    }

    override func linkEnded() {
        super.linkEnded()
        // Nothing of them was sent: any client has them go on the next connection.
        let calls = waiting
        waiting.removeAll()
        for call in calls { caller.place(call) }
    }

    override func session(_ session: Session, didSendHeadersOn stream: HTTP2.Stream) {
        if let open = open(stream) { leaving.append(open.call) }
    }

    override func session(
        _ session: Session, didReceive headers: HeaderBlock, kind: HeaderKind, on stream: HTTP2.Stream, endStream: Bool
    ) {
        defer { world.blocks.give(headers) }
        guard let call = open(stream)?.call else { return }
        let status = headers.number("grpc-status")
        world.ledger.note(call.id, status ?? -1, "call \(call.id) gets \(kind) (\(status ?? headers.status ?? -1))")
        switch kind {
        case .informational:
            if call.hasHead { world.ledger.violate("call \(call.id): 1xx after the head") }
        case .head:
            if call.hasHead { world.ledger.violate("call \(call.id): a second head") }
            call.hasHead = true
            call.attempt = headers.number("x-attempt")
            if !call.plan.isGRPC { call.status = headers.status }
            if let other = headers.number("x-call"), other != call.id {
                world.ledger.violate("call \(call.id): got the head of call \(other)")
            }
        case .trailers:
            call.trailersOf = headers.number("x-attempt")
        }
        if call.plan.isGRPC { call.status = status ?? call.status }
        call.reason = headers.text("x-ekiden-reason") ?? call.reason
    }

    override func session(_ session: Session, didReceiveData count: Int, on stream: HTTP2.Stream) {
        let buffer = takeData(session)
        guard let open = open(stream) else { return }
        let call = open.call
        credit(session, stream, count, after: call.plan.readDelay)
        world.ledger.note(call.id, call.received + count, "call \(call.id) gets \(count) bytes after \(call.received)")
        if !call.hasHead { world.ledger.violate("call \(call.id): bytes before the head") }
        if call.attempt != nil, !Pattern.matches(buffer, call: call.id, at: call.received) {
            world.ledger.violate("call \(call.id): wrong bytes at \(call.received)..<\(call.received + count)")
        }
        call.received += count
        if call.plan.isPingPong, call.received == call.sent { sendPiece(open) }
    }

    override func session(_ session: Session, didClose stream: HTTP2.Stream, code: ErrorCode) {
        guard let open = open(stream) else { return }
        open.stream = nil
        let call = open.call
        if !stream.headersSent, !open.isCancelled {
            // Nothing of it was sent: any client has it go on the next connection.
            call.sent = 0
            world.loop.soon { [caller] in caller.place(call) }
            return
        }
        let outcome: SimulatedCall.Outcome
        if stream.remoteEnded {
            outcome = .answered(status: call.status ?? -1, reason: call.reason)
        } else if let code = stream.resetByPeer {
            outcome = .reset(code.rawValue)
        } else {
            outcome = open.isCancelled ? .cancelled : .lost
        }
        world.ledger.end(call, outcome, writtenAt: writtenAt, isPrompt: !wasStalled)
    }
}

extension Session {
    /// Whether its window is so small that what the peer has for it waits longer than the way takes.
    fileprivate var isNarrow: Bool { settings.streamWindowBytes < 16_384 }
}
