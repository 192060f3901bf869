import Synchronization

/// The sources behind one cluster, as its ``Policy/ClusterState`` sees them: the state outlives every reload, the
/// sources need not.
final class RefreshTargets: Sendable {
    private let sources = Mutex<[any EndpointSource]>([])

    func replace(with sources: [any EndpointSource]) {
        self.sources.withLock { $0 = sources }
    }

    /// From any thread; returns at once.
    func request() {
        sources.withLock { sources in
            for source in sources { source.refreshNow() }
        }
    }
}
