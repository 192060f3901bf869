import Synchronization

/// The resolvers behind one cluster, as its ``Policy/ClusterState`` sees them: the state outlives every reload, the
/// resolvers need not.
final class RefreshTargets: Sendable {
    private let resolvers = Mutex<[NameResolver]>([])

    func replace(with resolvers: [NameResolver]) {
        self.resolvers.withLock { $0 = resolvers }
    }

    /// From any thread; returns at once.
    func request() {
        resolvers.withLock { resolvers in
            for resolver in resolvers { resolver.refreshNow() }
        }
    }
}
