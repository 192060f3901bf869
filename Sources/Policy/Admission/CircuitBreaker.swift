import Synchronization

/// Counts what runs on a cluster against ``CircuitBreakerSettings``, over all workers.
///
/// Where there is no limit nothing is counted, and no counter that all workers write is touched. A reload may set or
/// remove a limit while things are in flight; so each of them keeps a ``CircuitPlace`` that knows whether it was
/// counted, and gives back just that. A limit that is set anew therefore counts what begins from then on.
package enum CircuitBreaker {
    /// Takes the place of an exchange, which it keeps through all its attempts.
    /// - Returns: nil when the cluster has as many as it may; otherwise goes back with ``requestEnded(_:of:)``.
    package static func admitRequest(to cluster: Cluster) -> CircuitPlace? {
        take(cluster.settings.breakers.maxRequests, cluster.state.activeRequests)
    }

    package static func requestEnded(_ place: CircuitPlace, of cluster: ClusterState) {
        giveBack(place, cluster.activeRequests)
    }

    /// Takes the place of a retry or a hedge, beside the one that its exchange has.
    /// - Returns: nil when there is none; otherwise goes back with ``retryEnded(_:of:)``.
    package static func admitRetry(to cluster: Cluster) -> CircuitPlace? {
        take(cluster.settings.breakers.maxRetries, cluster.state.activeRetries)
    }

    package static func retryEnded(_ place: CircuitPlace, of cluster: ClusterState) {
        giveBack(place, cluster.activeRetries)
    }

    /// Takes the place of a connection that is about to be opened.
    /// - Parameter isOnly: whether the worker would be left without any. One that has none may always open one: those
    ///   of the other workers serve none of its streams, and may stay open for long without a stream.
    /// - Returns: nil when there is none; otherwise goes back with ``connectionEnded(_:of:)``.
    package static func admitConnection(to cluster: Cluster, isOnly: () -> Bool) -> CircuitPlace? {
        if let place = take(cluster.settings.breakers.maxConnections, cluster.state.openConnections) { return place }
        guard isOnly() else { return nil }
        cluster.state.openConnections.add(1, ordering: .relaxed)
        return CircuitPlace(isCounted: true)
    }

    package static func connectionEnded(_ place: CircuitPlace, of cluster: ClusterState) {
        giveBack(place, cluster.openConnections)
    }

    /// Compares before it adds: a count that others see above the limit, if only for a moment, would refuse them a
    /// place that there is.
    private static func take(_ limit: Int?, _ count: borrowing Atomic<Int>) -> CircuitPlace? {
        guard let limit else { return CircuitPlace(isCounted: false) }
        var seen = count.load(ordering: .relaxed)
        while seen < limit {
            let (exchanged, original) = count.weakCompareExchange(
                expected: seen, desired: seen + 1, ordering: .relaxed)
            if exchanged { return CircuitPlace(isCounted: true) }
            seen = original
        }
        return nil
    }

    private static func giveBack(_ place: CircuitPlace, _ count: borrowing Atomic<Int>) {
        if place.isCounted { count.subtract(1, ordering: .relaxed) }
    }
}

/// What was taken of a limit of ``CircuitBreaker``, to be given back exactly once.
package struct CircuitPlace: Sendable, Equatable {
    fileprivate let isCounted: Bool
}

extension CircuitBreaker {
    /// What an exchange is answered that finds no place.
    /// - Parameter random: spreads the time at which callers come back.
    package static func refusal(of cluster: Cluster, random: inout SplitMix64) -> Failure {
        let limit = cluster.settings.breakers.maxRequests ?? 0
        return .circuitOpen(
            .requests, "cluster \(cluster.name) is at its max_requests (\(limit))", pushback: Pushback.soon(&random))
    }

    /// What an exchange is answered for which no connection may be opened.
    package static func connectionRefusal(of cluster: Cluster, random: inout SplitMix64) -> Failure {
        let limit = cluster.settings.breakers.maxConnections ?? 0
        return .circuitOpen(
            .connections, "cluster \(cluster.name) is at its max_connections (\(limit))",
            pushback: Pushback.soon(&random))
    }

    /// What an exchange is answered that is over the limit which follows the cluster's latency.
    /// - Parameter limit: see ``AdaptiveLimit/limit``.
    package static func adaptiveRefusal(
        of cluster: Cluster, limit: Int, random: inout SplitMix64
    ) -> Failure {
        .circuitOpen(
            .adaptive,
            "cluster \(cluster.name) would queue: its latency allows no more exchanges now (adaptive limit, \(limit))",
            pushback: Pushback.soon(&random))
    }
}
