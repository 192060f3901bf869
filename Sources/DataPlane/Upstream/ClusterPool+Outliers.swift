import Logging
import Policy
import Synchronization
import Telemetry

// MARK: How the endpoints answer

extension ClusterPool {
    /// Has the endpoint judged by how an attempt ended.
    /// - Parameter latency: nanoseconds from the attempt's start to the response's head; nil without one.
    func judge(_ result: AttemptResult, latency: Int64?, of endpoint: Endpoint, isTrial: Bool) {
        switch result {
        case .reset, .lost, .connectFailure, .timedOut, .refused: endpoint.failuresTotal.add(1, ordering: .relaxed)
        case .grpc, .http, .abandoned: break
        }
        if let latency, adaptive != nil || cluster.settings.balance == .peakEWMA {
            let now = worker.turn.now
            // A task that fails at once is not quick.
            if cluster.settings.balance == .peakEWMA, result.isGood { endpoint.latency.note(latency, now: now) }
            adaptive?.note(latency: latency, now: now)
        }
        let ejection = OutlierDetector.note(
            result, latency: latency, of: endpoint, in: cluster, now: worker.turn.now, isTrial: isTrial)
        if let ejection { report(ejection) }
    }

    /// Each worker looks once per interval; the first of them compares the endpoints.
    func armSweep() {
        let timer = sweepTimer ?? WheelTimer { [unowned self] in sweep() }
        sweepTimer = timer
        if !timer.isArmed { armSweep(timer) }
    }

    private func armSweep(_ timer: WheelTimer) {
        worker.timers.arm(timer, at: worker.turn.now + cluster.settings.outlier.interval.nanoseconds)
    }

    private func sweep() {
        for ejection in OutlierDetector.sweep(cluster, now: worker.turn.now) { report(ejection) }
        if let sweepTimer { armSweep(sweepTimer) }
    }

    private func report(_ ejection: Ejection) {
        switch ejection.reason {
        case .consecutiveFailures: count(.ejectionsConsecutive)
        case .successRate: count(.ejectionsSuccessRate)
        case .failureShare: count(.ejectionsFailureShare)
        case .latency: count(.ejectionsLatency)
        case .trial: count(.ejectionsTrial)
        }
        worker.logger.warning(
            "endpoint ejected",
            metadata: [
                "cluster": "\(cluster.name)", "endpoint": "\(ejection.endpoint.name)",
                "reason": "\(ejection.reason.rawValue)", "for": "\(ejection.lasts)",
            ])
    }
}
