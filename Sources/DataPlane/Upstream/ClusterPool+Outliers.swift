import Logging
import Policy
import Synchronization
import Telemetry

// MARK: How the endpoints answer

extension ClusterPool {
    /// Has the endpoint judged by how an attempt, or a connect, ended.
    /// - Parameter latency: nanoseconds from the attempt's start to the response's head; nil without one.
    func judge(_ result: AttemptResult, latency: Int64? = nil, of endpoint: Endpoint, isTrial: Bool = false) {
        uncountedCluster.with { judge(result, latency: latency, of: endpoint, in: $0, isTrial: isTrial) }
    }

    @inline(__always)
    private func judge(
        _ result: AttemptResult, latency: Int64?, of endpoint: Endpoint, in cluster: Cluster, isTrial: Bool
    ) {
        switch result {
        case .grpc(0), .connectFailure, .abandoned: break
        case .reset, .lost, .timedOut, .refused: endpoint.failuresTotal.add(1, ordering: .relaxed)
        case .grpc, .http:
            if result.verdict(under: cluster.settings.outlier) == .failure {
                endpoint.failuresTotal.add(1, ordering: .relaxed)
            }
        }
        if let latency, adaptive != nil || cluster.settings.balance == .peakEWMA {
            let now = worker.turn.now
            // A task that fails at once is not quick.
            if cluster.settings.balance == .peakEWMA, result.isGood { endpoint.latency.note(latency, now: now) }
            if result.isGood || result == .timedOut { adaptive?.note(latency: latency, now: now) }
        }
        let ejection = OutlierDetector.note(
            result, latency: latency, of: endpoint, in: cluster, now: worker.turn.now, isTrial: isTrial)
        if let ejection {
            report(ejection)
        } else if isTrial, !endpoint.outlier.isEjected {
            worker.logger.info("endpoint \(endpoint.name) of cluster \(cluster.name) takes streams again")
        }
    }

    /// Each worker looks once per interval; the first of them compares the endpoints.
    func armSweep() {
        let timer = sweepTimer ?? WheelTimer { [unowned self] in sweep() }
        sweepTimer = timer
        if !timer.isArmed { armSweep(timer) }
    }

    /// The rules are others now.
    func adaptSweep() {
        OutlierDetector.adapt(cluster, now: worker.turn.now)
        if let sweepTimer { armSweep(sweepTimer) }
    }

    private func armSweep(_ timer: WheelTimer) {
        worker.timers.arm(timer, at: worker.turn.now + cluster.settings.outlier.interval.nanoseconds)
    }

    private func sweep() {
        for ejection in OutlierDetector.sweep(cluster, now: worker.turn.now) { report(ejection) }
        reportPanic()
        if let sweepTimer { armSweep(sweepTimer) }
    }

    /// Says that a panic began or ended: by the worker that sees it first.
    private func reportPanic() {
        guard cluster.settings.panicThreshold > 0 else { return }
        // Who has had no check yet will be known in a moment.
        if cluster.endpoints.contains(where: { $0.health.current == .pending }) { return }
        let isPanic = cluster.isInPanic
        guard cluster.state.isPanicKnown.exchange(isPanic, ordering: .relaxed) != isPanic else { return }
        let usable = "\(cluster.endpoints.count(where: \.isUsable)) of \(cluster.endpoints.count) endpoints"
        if isPanic {
            worker.logger.warning(
                "cluster \(cluster.name) panics: only \(usable) are usable, so that all of them take streams")
        } else {
            worker.logger.info("cluster \(cluster.name) panics no longer: \(usable) are usable")
        }
    }

    private func report(_ ejection: Ejection) {
        switch ejection.reason {
        case .consecutiveFailures: count(.ejectionsConsecutive)
        case .successRate: count(.ejectionsSuccessRate)
        case .failureShare: count(.ejectionsFailureShare)
        case .latency: count(.ejectionsLatency)
        case .trial: count(.ejectionsTrial)
        }
        let subject = "endpoint \(ejection.endpoint.name) of cluster \(cluster.name)"
        let length = ejection.lasts.configurationText
        worker.logger.warning("\(subject) is ejected for \(length): \(ejection.reason.rawValue)")
    }
}
