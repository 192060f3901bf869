import Synchronization

/// Judges endpoints by how they answer. State lives in ``OutlierRecord``; what is here decides.
package enum OutlierDetector {
    /// Takes in how an attempt ended.
    ///
    /// While an endpoint is ejected only its trial counts: streams that were older say nothing new, good or bad.
    /// - Parameters:
    ///   - latency: nanoseconds from the stream's start to the response's head; nil without one.
    ///   - now: nanoseconds of the monotonic clock.
    ///   - isTrial: whether the stream was claimed by ``OutlierRecord/claimTrial(now:)``. A result that says nothing
    ///     gives the right back.
    /// - Returns: that the endpoint was ejected for it.
    package static func note(
        _ result: AttemptResult, latency: Int64?, of endpoint: Endpoint, in cluster: Cluster,
        now: @autoclosure () -> Int64, isTrial: Bool = false
    ) -> Ejection? {
        guard cluster.settings.outlier.isEnabled else {
            // It was claimed while somebody looked.
            if isTrial { endpoint.outlier.restore(now: now()) }
            return nil
        }
        let verdict = result.verdict(under: cluster.settings.outlier)
        if endpoint.outlier.isEjected {
            return isTrial ? endTrial(verdict, of: endpoint, in: cluster, now: now()) : nil
        }
        switch verdict {
        case .neutral: return nil
        case .success:
            endpoint.outlier.noteSuccess()
            if cluster.settings.outlier.comparesCounts { endpoint.outlier.count(isFailure: false) }
            if cluster.settings.outlier.latencyFactor != nil, let latency { endpoint.outlier.count(latency: latency) }
            return nil
        case .failure:
            return noteFailure(of: endpoint, in: cluster, now: now())
        }
    }

    /// Nanoseconds from a trial that said nothing to the next one.
    private static var trialPause: Int64 { 1_000_000_000 }

    @inline(never)
    private static func endTrial(
        _ verdict: AttemptResult.Verdict, of endpoint: Endpoint, in cluster: Cluster, now: Int64
    ) -> Ejection? {
        switch verdict {
        // An endpoint that refuses, or that callers give up, would otherwise be offered nearly every stream.
        case .neutral: endpoint.outlier.releaseTrial(until: now + trialPause)
        case .success: endpoint.outlier.passTrial(now: now)
        case .failure:
            let length = endpoint.outlier.failTrial(now: now, cluster.settings.outlier)
            return length.map { Ejection(endpoint: endpoint, reason: .trial, lasts: .nanoseconds($0)) }
        }
        return nil
    }

    @inline(never)
    private static func noteFailure(of endpoint: Endpoint, in cluster: Cluster, now: Int64) -> Ejection? {
        let settings = cluster.settings.outlier
        if settings.comparesCounts { endpoint.outlier.count(isFailure: true) }
        let inRow = endpoint.outlier.noteFailure()
        guard settings.consecutiveFailures > 0, inRow >= settings.consecutiveFailures else { return nil }
        // Where it may not be ejected, or another worker ejects somebody in this moment, the next failure asks again.
        return alone(in: cluster) { eject(endpoint, of: cluster, .consecutiveFailures, now: now) } ?? nil
    }

    /// Has what is under way follow settings that have changed: ejections end where nobody is ejected any more, none is
    /// longer than the maximum, and the next comparison comes after the new interval.
    /// - Parameter now: nanoseconds of the monotonic clock.
    package static func adapt(_ cluster: Cluster, now: Int64) {
        let settings = cluster.settings.outlier
        let due = cluster.state.nextSweep.load(ordering: .relaxed)
        let sooner = now + settings.sweepPeriod
        // When it fails a comparison was made meanwhile.
        if due > sooner {
            _ = cluster.state.nextSweep.compareExchange(expected: due, desired: sooner, ordering: .relaxed)
        }
        let mayEject = settings.isEnabled && settings.ejectedMax(of: cluster.endpoints.count) > 0
        for endpoint in cluster.endpoints where endpoint.outlier.isEjected {
            if mayEject {
                endpoint.outlier.shorten(to: now + settings.longestEjection)
            } else {
                endpoint.outlier.restore(now: now)
            }
        }
    }

    /// Compares the endpoints with each other. One of the workers does it, once per interval. Where outliers are no
    /// longer looked for it ends the ejections that are left.
    /// - Parameter now: nanoseconds of the monotonic clock.
    /// - Returns: who was ejected.
    package static func sweep(_ cluster: Cluster, now: Int64) -> [Ejection] {
        let settings = cluster.settings.outlier
        guard settings.isEnabled else {
            for endpoint in cluster.endpoints { endpoint.outlier.restore(now: now) }
            return []
        }
        guard cluster.state.nextSweep.load(ordering: .relaxed) <= now else { return [] }
        // A sweep that finds somebody ejecting stays due; the next worker's timer does it.
        return alone(in: cluster) {
            let due = cluster.state.nextSweep.load(ordering: .relaxed)
            let period = settings.sweepPeriod
            guard due <= now,
                cluster.state.nextSweep.compareExchange(expected: due, desired: now + period, ordering: .relaxed)
                    .exchanged
            else { return [] }
            return compare(cluster, settings, now: now, period: period)
        } ?? []
    }

    /// The caller is alone in the cluster.
    private static func compare(
        _ cluster: Cluster, _ settings: OutlierSettings, now: Int64, period: Int64
    ) -> [Ejection] {
        for endpoint in cluster.endpoints { endpoint.outlier.decay(now: now, after: period) }
        guard settings.comparesCounts || settings.latencyFactor != nil else { return [] }
        let windows = cluster.endpoints.map { endpoint -> OutlierWindow? in
            let window = endpoint.outlier.takeWindow()
            return endpoint.outlier.isEjected ? nil : window
        }
        return OutlierComparison.findings(in: windows, settings).compactMap { finding in
            eject(cluster.endpoints[finding.index], of: cluster, finding.reason, now: now)
        }
    }

    // MARK: Limits

    /// Runs what ejects, one worker at a time in a cluster, so that two that see failures in the same moment do not
    /// exceed the maximum together. Nobody waits.
    /// - Returns: nil when another worker was there.
    private static func alone<Result>(in cluster: Cluster, _ body: () -> Result) -> Result? {
        let gate = cluster.state
        guard
            gate.ejectionGate.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing)
                .exchanged
        else { return nil }
        defer { gate.ejectionGate.store(false, ordering: .releasing) }
        return body()
    }

    /// Ejects an endpoint if the cluster can do without it. The caller is alone in the cluster.
    private static func eject(
        _ endpoint: Endpoint, of cluster: Cluster, _ reason: Ejection.Reason, now: Int64
    ) -> Ejection? {
        let settings = cluster.settings.outlier
        var ejected = 0
        var isMember = false
        var others = false
        for member in cluster.endpoints {
            if member.outlier.isEjected { ejected += 1 }
            if member === endpoint {
                isMember = true
            } else if member.isUsable {
                others = true
            }
        }
        guard isMember, others, ejected < settings.ejectedMax(of: cluster.endpoints.count),
            let length = endpoint.outlier.eject(now: now, settings)
        else { return nil }
        return Ejection(endpoint: endpoint, reason: reason, lasts: .nanoseconds(length))
    }
}

/// That an endpoint takes no streams for a while.
package struct Ejection: Sendable {
    package let endpoint: Endpoint
    package let reason: Reason
    package let lasts: Duration

    package enum Reason: String, Sendable, CaseIterable {
        case consecutiveFailures = "consecutive_failures"
        case successRate = "success_rate"
        case failureShare = "failure_share"
        case latency
        /// The trial after an ejection failed.
        case trial
    }
}
