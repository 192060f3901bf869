import HTTP2
import Policy
import Telemetry

/// Does what the connection's watch says.
extension UpstreamConnection {
    /// Looks whether the task still lives; arms itself for the next look.
    func look() {
        let now = worker.turn.now
        while state == .ready || state == .draining, let held {
            switch watch.look(now: now, streams: held.session.streamCount) {
            case .none:
                armWatchdog(now)
                return
            case .askKernel:
                if !follow(watch.hear(TaskSocket.facts(of: held.channel), now: now), held) { return }
            case let action:
                if !follow(action, held) { return }
            }
        }
    }

    /// - Returns: whether the connection goes on.
    private func follow(_ action: ConnectionWatch.Action, _ held: Transport) -> Bool {
        switch action {
        case .none, .askKernel:
            break
        case .ping:
            held.session.ping()
            held.markDirty()
        case .stall:
            cluster.count(.darkConnections)
            let loss = Failure(.connectionLost, "does not acknowledge what it is sent")
            pool.connectionStalled(self, connectFailure(loss))
        case .resume:
            guard state == .ready else { break }
            if isProven { endpoint.recordReached() }
            pool.slotsAvailable(on: self)
        case .lose(let reason):
            if reason == .pingUnanswered { cluster.count(.keepaliveTimeouts) }
            let failure = failure(reason)
            if reason == .unacknowledged { pool.connectionWentDark(self, reason: failure.message) }
            lose(failure)
            return false
        case .idle:
            beginDraining()
            return false
        }
        return true
    }

    private func failure(_ loss: ConnectionWatch.Loss) -> Failure {
        switch loss {
        case .noSettings:
            return Failure(.connectFailure, "accepted the connection but sent no SETTINGS")
        case .notVerified:
            let patience = settings.settingsTimeout.configurationText
            return Failure(
                .connectFailure, "did not say within \(patience) whether it serves \(verification?.subject ?? "-")")
        case .pingUnanswered:
            return Failure(.connectionLost, "did not answer a PING for \(settings.keepaliveTimeout.configurationText)")
        case .unacknowledged:
            let silence = settings.darkTimeout.configurationText
            return Failure(.connectionLost, "is gone: it has not acknowledged what it was sent for \(silence)")
        }
    }

    /// Has the next look made when it is due.
    func armWatchdog(_ now: Int64) {
        guard let watchdog, let held else { return }
        worker.timers.arm(watchdog, at: watch.nextLook(now: now, streams: held.session.streamCount))
    }
}
