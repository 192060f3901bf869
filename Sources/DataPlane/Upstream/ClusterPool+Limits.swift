import Policy
import Telemetry

// MARK: What the cluster is given at most, and what retries may add

extension ClusterPool {
    /// Takes the exchange's place among those in flight.
    /// - Returns: what it is answered when there is none.
    @inline(__always)
    func refusal(of exchange: Exchange, now: Int64) -> Failure? {
        if adaptive == nil, uncountedCluster.with({ $0.settings.breakers.maxRequests == nil }) { return nil }
        return countedRefusal(of: exchange, now: now)
    }

    private func countedRefusal(of exchange: Exchange, now: Int64) -> Failure? {
        guard let place = CircuitBreaker.admitRequest(to: cluster) else {
            return CircuitBreaker.refusal(of: cluster, random: &worker.random)
        }
        if adaptive != nil {
            queue.advance(now: now)
            let isAdmitted = adaptive?.admits(inFlight: queue.count, now: now) ?? true
            showLimit()
            guard isAdmitted else {
                CircuitBreaker.requestEnded(place, of: cluster.state)
                return CircuitBreaker.adaptiveRefusal(of: cluster, limit: shownLimit, random: &worker.random)
            }
            exchange.queuePlace = queue.add(now: now)
        }
        exchange.place = place
        return nil
    }

    func exchangeEnded(_ place: CircuitPlace) {
        CircuitBreaker.requestEnded(place, of: cluster.state)
    }

    func makeAdaptiveLimit() -> AdaptiveLimit? {
        cluster.settings.breakers.adaptive.map {
            AdaptiveLimit($0, workers: worker.workerCount, now: worker.turn.now)
        }
    }

    /// Writes the limit into its metric.
    func showLimit() {
        let limit = adaptive?.limit ?? 0
        if limit == shownLimit { return }
        count(.adaptiveLimit, limit - shownLimit)
        shownLimit = limit
    }

    // MARK: Retries

    /// Counts an exchange, of which the retry budget is a share.
    @inline(__always)
    func noteRequest(now: Int64) {
        budget.noteRequest(now: now)
    }

    /// Takes a retry, or a hedge, out of the budget, and its place among those that run.
    /// - Returns: nil when there is none.
    func takeRetry(now: Int64) -> CircuitPlace? {
        guard let place = CircuitBreaker.admitRetry(to: cluster) else {
            count(.retriesOverLimit)
            return nil
        }
        if budget.take(now: now) { return place }
        retryEnded(place)
        count(.retriesOverBudget)
        return nil
    }

    func retryEnded(_ place: CircuitPlace) {
        CircuitBreaker.retryEnded(place, of: cluster.state)
    }
}
