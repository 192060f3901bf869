import Synchronization

@testable import Policy

/// A cluster whose endpoints answer as a test says.
struct OutlierCluster {
    static let second: Int64 = 1_000_000_000
    let cluster: Cluster

    init(_ count: Int, _ change: (inout OutlierSettings) -> Void = { _ in }) {
        self.init(count, state: ClusterState(id: 1), change)
    }

    /// - Parameter endpoints: those of a cluster whose settings change; nil makes new ones.
    init(
        _ count: Int, state: ClusterState, endpoints: [Endpoint]? = nil, _ change: (inout OutlierSettings) -> Void
    ) {
        var settings = ClusterSettings()
        change(&settings.outlier)
        cluster = Cluster(
            name: "users", settings: settings,
            endpoints: endpoints
                ?? (0..<count).map { Endpoint(address: EndpointAddress(host: "10.0.0.\($0 + 1)", port: 1)) },
            resolution: .resolved, state: state)
    }

    var settings: OutlierSettings { cluster.settings.outlier }

    /// The indices of those that are ejected.
    var ejected: [Int] { cluster.endpoints.indices.filter { self[$0].outlier.isEjected } }

    /// Whether there is an endpoint that takes streams.
    var isUsable: Bool { cluster.endpoints.contains { $0.isUsable } }

    subscript(index: Int) -> Endpoint { cluster.endpoints[index] }

    // What cannot be copied cannot stand in an expectation.
    func ejectedUntil(_ index: Int) -> Int64? { self[index].outlier.ejectedUntil }
    func ejectionsTotal(_ index: Int) -> Int { self[index].outlier.ejectionsTotal }
    func failuresInRow(_ index: Int) -> Int { self[index].outlier.failuresInRow }
    func takeWindow(_ index: Int) -> OutlierWindow { self[index].outlier.takeWindow() }
    func claimTrial(_ index: Int, at now: Int64) -> Bool { self[index].outlier.claimTrial(now: now) }
    var nextSweep: Int64 { cluster.state.nextSweep.load(ordering: .relaxed) }
    var isGateHeld: Bool { cluster.state.ejectionGate.load(ordering: .relaxed) }

    /// Ends an attempt.
    @discardableResult
    func note(
        _ result: AttemptResult, _ index: Int, latency: Int64? = nil, at now: Int64 = second, isTrial: Bool = false
    ) -> Ejection? {
        OutlierDetector.note(
            result, latency: latency, of: self[index], in: cluster, now: now, isTrial: isTrial)
    }

    /// Failures until one ejects.
    /// - Returns: the ejection; nil when a hundred failures were not enough.
    @discardableResult
    func fail(_ index: Int, at now: Int64 = second) -> Ejection? {
        for _ in 0..<100 {
            if let ejection = note(.reset, index, at: now) { return ejection }
        }
        return nil
    }

    /// So many requests, of which so many fail, the failures spread among the successes.
    /// - Returns: what was ejected for failures in a row.
    @discardableResult
    func serve(_ requests: Int, failures: Int, _ index: Int, latency: Int64? = nil, at now: Int64 = second) -> Int {
        (0..<requests).count { request in
            let fails = (request + 1) * failures / requests > request * failures / requests
            return note(fails ? .grpc(14) : .grpc(0), index, latency: latency, at: now) != nil
        }
    }

    func sweep(at now: Int64) -> [(index: Int, reason: Ejection.Reason)] {
        OutlierDetector.sweep(cluster, now: now).map { ejection in
            (cluster.endpoints.firstIndex { $0 === ejection.endpoint } ?? -1, ejection.reason)
        }
    }
}
