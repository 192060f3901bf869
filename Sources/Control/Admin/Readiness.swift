package import Policy

/// Whether callers should be sent here, and if not, why. The answer of `/ready`.
package struct Readiness: Sendable, Equatable {
    /// Empty when ready.
    package let reasons: [Reason]

    package init(_ reasons: [Reason] = []) {
        self.reasons = reasons
    }

    /// - Parameters:
    ///   - clusters: one that never had an endpoint keeps the process from being ready. One that had is no reason any
    ///     more, whatever discovery says later: its callers get their errors here as anywhere else.
    ///   - isStarting: the listeners are not open yet.
    ///   - isDraining: the process is leaving.
    package init(clusters: [ClusterStatus], isStarting: Bool, isDraining: Bool) {
        var reasons: [Reason] = []
        if isStarting { reasons.append(.starting) }
        if isDraining { reasons.append(.draining) }
        for cluster in clusters where !cluster.hasHadEndpoints {
            reasons.append(.unresolved(cluster: cluster.name, cluster.resolution))
        }
        self.init(reasons)
    }

    package var isReady: Bool { reasons.isEmpty }

    /// Why a process is not ready.
    package enum Reason: Sendable, Equatable, CustomStringConvertible {
        case starting
        case draining
        /// A cluster that never had an endpoint to send to.
        case unresolved(cluster: String, Cluster.Resolution)

        /// One line: `cluster users: NXDOMAIN for users.local from 127.0.0.1:5353`.
        package var description: String {
            switch self {
            case .starting: "starting"
            case .draining: "draining"
            case .unresolved(let cluster, .failed(let cause)): "cluster \(cluster): \(cause)"
            case .unresolved(let cluster, .pending), .unresolved(let cluster, .resolved):
                "cluster \(cluster): no answer of discovery yet"
            }
        }
    }
}
