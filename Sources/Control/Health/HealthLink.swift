import NIOCore

/// Keeps one HTTP/2 connection to an endpoint open for its checks, and makes a new one when it has to. Confined to the
/// loop of the checks.
final class HealthLink {
    let target: ProbeTarget
    /// Called when the task says that it leaves; calls that run go on.
    var onLeave: (() -> Void)?
    private var connection: HealthConnection?
    /// One that takes no more calls, but may have some.
    private var leaving: HealthConnection?
    private var question: HealthCall?

    init(_ target: ProbeTarget) {
        self.target = target
    }

    /// Makes a call whose answer is due soon, one at a time. A connection that was kept may have been closed by the
    /// task meanwhile, which says nothing: a call that is lost with it is made again on a new one.
    func ask(_ request: HealthCall.Request, listener: @escaping (HealthCall, HealthCall.Event) -> Void) {
        question?.forget()
        let isKept = connection != nil
        let call = HealthCall(request) { [weak self] call, event in
            if isKept, call.httpStatus == nil, case .ended(.lost) = event, let self {
                self.connection = nil
                self.ask(request, listener: listener)
            } else {
                listener(call, event)
            }
        }
        question = call
        start(call)
    }

    /// Makes a call that stays.
    func start(_ call: HealthCall) {
        (connection ?? open()).start(call)
    }

    /// Ends a call early; nothing more is told of it.
    func cancel(_ call: HealthCall) {
        call.forget()
        connection?.cancel(call)
        leaving?.cancel(call)
    }

    /// Closes what is open. Nothing is told of calls that were asked; those that stay are told that they are lost.
    func drop() {
        question?.forget()
        question = nil
        let open = [connection, leaving]
        connection = nil
        leaving = nil
        for connection in open { connection?.close() }
    }

    private func open() -> HealthConnection {
        let connection = HealthConnection(authority: target.authority) { [weak self] in self?.retire($0, $1) }
        self.connection = connection
        connection.connect(to: target)
        return connection
    }

    private func retire(_ ended: HealthConnection, _ end: HealthConnection.End) {
        guard connection === ended else { return }
        connection = nil
        if case .leaving = end {
            leaving?.close()
            leaving = ended
            onLeave?()
        }
    }
}

@available(*, unavailable)
extension HealthLink: Sendable {}
