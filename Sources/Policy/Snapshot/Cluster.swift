package import Synchronization

/// A named group of endpoints as of one snapshot. Immutable; a change of membership makes a new value that shares the
/// same ``ClusterState`` and the same ``Endpoint`` objects for addresses that stay.
package final class Cluster: Sendable {
    package let name: String
    package let settings: ClusterSettings
    /// The members in a stable order (by address), so that the round-robin cursor means the same for every worker.
    package let endpoints: [Endpoint]
    /// What discovery last said; becomes part of the message when there is no endpoint.
    package let resolution: Resolution
    /// What outlives the snapshot: cursor, identity, the door back to discovery.
    package let state: ClusterState

    package init(
        name: String, settings: ClusterSettings, endpoints: [Endpoint], resolution: Resolution, state: ClusterState
    ) {
        self.name = name
        self.settings = settings
        self.endpoints = endpoints
        self.resolution = resolution
        self.state = state
    }

    /// What discovery knows about a cluster's name.
    package enum Resolution: Sendable, Equatable {
        /// No answer yet.
        case pending
        /// The endpoints are those of the last good answer.
        case resolved
        /// The last lookup failed; the endpoints (if any) are those of the last good answer. The text says what and
        /// where, for example `NXDOMAIN for game-server.local from 127.0.0.1:5353`.
        case failed(String)
    }
}

/// The part of a cluster that is shared by all workers and outlives every snapshot.
package final class ClusterState: Sendable {
    /// Position in the workers' tables of counters and pools; unique for the process's life, never reused.
    package let id: Int
    /// One cursor for all workers: n streams over k endpoints differ by at most one.
    package let roundRobinCursor = Atomic<Int>(0)
    /// Asks discovery to look again now (after a connect failure). Cheap, callable from any thread, may be called
    /// often.
    package let requestRefresh: @Sendable () -> Void

    package init(id: Int, requestRefresh: @escaping @Sendable () -> Void = {}) {
        self.id = id
        self.requestRefresh = requestRefresh
    }
}
