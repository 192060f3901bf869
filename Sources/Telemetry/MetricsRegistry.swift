import Synchronization

/// Where workers leave their counter blocks and where a scrape finds and sums them.
///
/// Taken under a lock when a worker or a cluster appears and when somebody scrapes; never on the request path.
package final class MetricsRegistry: Sendable {
    private struct Blocks {
        var workers: [CounterBlock] = []
        /// By cluster name: a cluster that a reload removed and another one brought back goes on counting.
        var clusters: [String: [CounterBlock]] = [:]
    }

    private let blocks = Mutex(Blocks())

    package init() {}

    /// A new block of ``WorkerMetric`` cells for one worker.
    package func makeWorkerBlock() -> CounterBlock {
        let block = CounterBlock(count: WorkerMetric.allCases.count)
        blocks.withLock { $0.workers.append(block) }
        return block
    }

    /// A new block of ``ClusterMetric`` cells for one worker's view of a cluster.
    package func makeClusterBlock(cluster: String) -> CounterBlock {
        let block = CounterBlock(count: ClusterMetric.cellCount)
        blocks.withLock { $0.clusters[cluster, default: []].append(block) }
        return block
    }

    /// The sum of a cell over all workers.
    package func total(_ metric: WorkerMetric) -> Int {
        blocks.withLock { $0.workers.reduce(0) { $0 + $1.read(metric.rawValue) } }
    }

    /// The sums of all cells of each cluster over all workers, by cluster name in ascending order.
    package func clusterTotals() -> [(cluster: String, cells: [Int])] {
        blocks.withLock { blocks in
            blocks.clusters.keys.sorted().map { name in
                let rows = blocks.clusters[name] ?? []
                let cells = (0..<ClusterMetric.cellCount).map { cell in rows.reduce(0) { $0 + $1.read(cell) } }
                return (name, cells)
            }
        }
    }
}
