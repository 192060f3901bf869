/// The immutable configuration and membership that a worker works from.
///
/// Control makes a new one for every change and posts it to each worker; an exchange keeps the cluster it was routed to
/// until it ends, so a reload never changes what is in flight.
package final class Snapshot: Sendable {
    /// Grows by one with every snapshot of the process.
    package let version: Int
    package let routes: RouteTable
    /// Indexed by ``Route/clusterIndex``.
    package let clusters: [Cluster]

    package init(version: Int, routes: RouteTable, clusters: [Cluster]) {
        self.version = version
        self.routes = routes
        self.clusters = clusters
    }

    /// A snapshot that routes nothing: what a worker has before its first one.
    package static let empty = Snapshot(version: 0, routes: RouteTable([]), clusters: [])
}
