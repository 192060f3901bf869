import NIOCore
import Policy

/// Whom a check is about.
struct CheckedEndpoint {
    let endpoint: Endpoint
    let cluster: String
    let settings: HealthCheckSettings
}

/// What the checks of an endpoint have to tell.
enum HealthNews {
    case result(HealthResult)
    case change(HealthVerdict.Change)
    /// Why the endpoint, which has no verdict yet, could not be checked; told once.
    case obstacle(String)
}

/// The checks of one endpoint, one after the other, for as long as it is listed. Confined to the loop of the checks.
///
/// What a result means is in ``Policy/HealthVerdict``, when to ask in ``Policy/HealthPace``, how to ask in a
/// ``HealthProber``. Here are the timers.
final class EndpointCheck {
    let subject: CheckedEndpoint
    private let eventLoop: any EventLoop
    private let report: (CheckedEndpoint, HealthNews) -> Void
    private var verdict: HealthVerdict
    private var random = SplitMix64()
    private var prober: (any HealthProber)?
    /// When what is asked now was asked; nil while nothing is. Nanoseconds of the monotonic clock.
    private var asked: Int64?
    /// Times in a row that a Watch broke.
    private var breaks = 0
    private var hasToldObstacle = false
    private var nextCheck: Scheduled<Void>?
    private var deadline: Scheduled<Void>?

    /// - Parameter report: called on the loop.
    init(
        _ subject: CheckedEndpoint, eventLoop: any EventLoop,
        report: @escaping (CheckedEndpoint, HealthNews) -> Void
    ) {
        self.subject = subject
        self.eventLoop = eventLoop
        self.report = report
        verdict = HealthVerdict(state: subject.endpoint.health.current, reason: subject.endpoint.health.reason)
        let target = ProbeTarget(subject.endpoint, timeout: subject.settings.timeout, eventLoop: eventLoop)
        prober = target.prober(for: subject.settings.probe) { [weak self] in self?.hear($0) }
    }

    private var settings: HealthCheckSettings { subject.settings }
    private var now: Int64 { Int64(bitPattern: NIODeadline.now().uptimeNanoseconds) }

    /// - Parameter delay: until the first check.
    func begin(after delay: TimeAmount) {
        schedule(in: delay.nanoseconds)
    }

    /// Nothing is asked or told any more.
    func stop() {
        nextCheck?.cancel()
        deadline?.cancel()
        prober?.close()
        prober = nil
    }

    /// Writes the verdict down again, for an endpoint that left and came back before anybody saw it go.
    func restate() {
        if verdict.state != .pending || verdict.reason != nil {
            subject.endpoint.health.set(verdict.state, reason: verdict.reason)
        }
    }

    // MARK: Asking

    private func schedule(in pause: Int64) {
        nextCheck?.cancel()
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        nextCheck = eventLoop.scheduleTask(in: .nanoseconds(pause)) { bound.value.ask() }
    }

    private func ask() {
        guard let prober, asked == nil else { return }
        asked = now
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        deadline = eventLoop.scheduleTask(in: .nanoseconds(settings.timeout.nanoseconds)) { bound.value.timedOut() }
        prober.ask()
    }

    private func timedOut() {
        guard asked != nil, let prober else { return }
        prober.abandon()
        if isWatch { breaks += 1 }
        take(.failed("no answer within \(settings.timeout.configurationText)"))
        goOn()
    }

    private func hear(_ word: ProberWord) {
        guard prober != nil else { return }
        switch word {
        case .answer(let result):
            guard asked != nil else { return }
            take(result)
            breaks = 0
            goOn()
        case .statement(let result):
            // Whether the Watch lasts is known only when the next check finds it open.
            take(result, isStatement: true)
            if asked != nil { goOn() }
        case .broken(let result):
            breaks += 1
            take(result)
            goOn()
        }
    }

    private var isWatch: Bool {
        if case .grpc(_, watch: true) = settings.probe { true } else { false }
    }

    /// What was asked has its answer; the next time comes.
    private func goOn() {
        deadline?.cancel()
        deadline = nil
        let started = asked ?? now
        asked = nil
        schedule(
            in: breaks > 0
                ? HealthPace.reopenPause(failures: breaks, settings, using: &random)
                : HealthPace.pause(since: started, now: now, settings, using: &random))
    }

    private func take(_ result: HealthResult, isStatement: Bool = false) {
        report(subject, .result(result))
        let change = verdict.take(result, isStatement: isStatement, settings)
        // Also without a change: the endpoint may have been marked anew by whoever listed it again.
        restate()
        if let change {
            report(subject, .change(change))
        } else if case .inconclusive(let text) = result, !verdict.isDecided, !hasToldObstacle {
            hasToldObstacle = true
            report(subject, .obstacle(text))
        }
    }
}

@available(*, unavailable)
extension EndpointCheck: Sendable {}
