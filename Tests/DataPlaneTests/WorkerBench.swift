import Logging
import NIOCore
import NIOEmbedded
import Policy
import Telemetry

@testable import DataPlane

/// A worker on a loop that runs only when it is told to.
struct WorkerBench {
    let loop = EmbeddedEventLoop()
    let registry = MetricsRegistry()
    let worker: Worker

    init() {
        worker = Worker(
            eventLoop: loop, registry: registry, bufferBudget: 1_000_000,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
    }

    func pool(name: String = "users") -> ClusterPool {
        ClusterPool(
            cluster: Cluster(
                name: name, settings: ClusterSettings(), endpoints: [], resolution: .pending, state: ClusterState(id: 1)
            ),
            worker: worker)
    }
}
