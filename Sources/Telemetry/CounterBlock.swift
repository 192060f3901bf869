import Synchronization

/// A row of counters with one writer: the worker that owns it. Others read.
///
/// An addition is a plain load, add and store (relaxed atomics make the concurrent read at scrape time well defined
/// without a locked instruction), so counting on the request path costs what an integer field costs.
///
/// `@unchecked Sendable`: the memory is allocated once, freed once, and only touched through atomics.
package final class CounterBlock: @unchecked Sendable {
    private let cells: UnsafeMutablePointer<Atomic<Int>>
    package let count: Int

    package init(count: Int) {
        self.count = count
        cells = .allocate(capacity: count)
        for index in 0..<count {
            (cells + index).initialize(to: Atomic(0))
        }
    }

    deinit {
        cells.deinitialize(count: count)
        cells.deallocate()
    }

    /// Adds to a cell. Runs on the owner's thread only.
    @inline(__always)
    package func add(_ index: Int, _ amount: Int = 1) {
        precondition(index >= 0 && index < count)
        let value = cells[index].load(ordering: .relaxed)
        cells[index].store(value &+ amount, ordering: .relaxed)
    }

    /// Reads a cell; any thread.
    package func read(_ index: Int) -> Int {
        precondition(index >= 0 && index < count)
        return cells[index].load(ordering: .relaxed)
    }
}
