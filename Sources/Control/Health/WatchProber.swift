import Policy

/// Keeps one `grpc.health.v1.Health/Watch` open, on which a task says at once when it turns ill or well.
///
/// To be asked means to see that the Watch lives: one that is not open is opened, and beside one that is open a `Check`
/// goes over the same connection, whose answer is worth no more than that it came. (Tasks that run gRPC take PINGs
/// ill when nothing else is said.) A task without Watch is asked by `Check` alone.
final class WatchProber: HealthProber {
    private let link: HealthLink
    private let service: String
    private var tell: ((ProberWord) -> Void)?
    private var watch: HealthCall?
    /// What the Watch said last; nil while it has said nothing.
    private var last: HealthResult?
    private var hasNoWatch = false

    init(_ link: HealthLink, service: String, tell: @escaping (ProberWord) -> Void) {
        self.link = link
        self.service = service
        self.tell = tell
        link.onLeave = { [weak self] in self?.taskLeaves() }
    }

    func ask() {
        if hasNoWatch || last != nil { check() } else { open() }
    }

    func abandon() {
        reset()
    }

    func close() {
        tell = nil
        reset()
    }

    private func reset() {
        watch?.forget()
        watch = nil
        last = nil
        hasNoWatch = false
        link.drop()
    }

    private func check() {
        link.ask(.check(service: service, timeout: link.target.timeout)) { [weak self] call, event in
            if case .ended(let ending) = event { self?.checked(call, ending) }
        }
    }

    private func checked(_ call: HealthCall, _ ending: HealthCall.Ending) {
        if !hasNoWatch {
            // A connection that is lost ends the Watch too, which is told.
            if let last { tell?(.answer(last)) }
            return
        }
        // The next one may be a newer task.
        if case .lost = ending { hasNoWatch = false }
        tell?(.answer(call.result(ending)))
    }

    // MARK: The Watch

    private func open() {
        let call = HealthCall(.watch(service: service)) { [weak self] call, event in
            switch event {
            case .head: break
            case .data: self?.heard(call)
            case .ended(let ending): self?.ended(call, ending)
            }
        }
        watch = call
        link.start(call)
    }

    private func heard(_ call: HealthCall) {
        do throws(UnreadableAnswer) {
            while let status = try call.takeStatus() {
                let result = HealthResult(status)
                last = result
                tell?(.statement(result))
            }
        } catch {
            broke(.failed("an answer that cannot be read"))
        }
    }

    private func ended(_ call: HealthCall, _ ending: HealthCall.Ending) {
        switch ending {
        case .complete where last == nil && call.grpcStatus == GRPCStatus.unimplemented.rawValue:
            watch = nil
            hasNoWatch = true
            check()
        case .complete:
            let status = call.grpcStatus.flatMap(GRPCStatus.init)
            broke(.failed("the Watch ended: \(status?.name ?? "no gRPC status")"))
        case .reset(let code):
            broke(.failed("the Watch was reset: \(code)"))
        case .lost(let result):
            broke(result)
        }
    }

    private func broke(_ result: HealthResult) {
        reset()
        tell?(.broken(result))
    }

    /// A connection that comes of age is no fault; the Watch moves to a new one.
    private func taskLeaves() {
        if watch != nil { broke(.inconclusive("the task leaves")) }
    }
}
