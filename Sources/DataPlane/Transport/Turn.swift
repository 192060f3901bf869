package import NIOCore

/// The end of a turn of an event loop, where everything that the turn's reads brought about is written.
///
/// Reads mark connections dirty; after all reads of the turn, each dirty connection produces its bytes into one
/// buffer and makes one write. Confined to its event loop.
package final class Turn {
    package let eventLoop: any EventLoop
    /// Runs before the connections are flushed: the place for work that waits for the whole batch of reads.
    package var beforeFlush: (() -> Void)?
    /// Runs after the connections are flushed.
    package var afterFlush: (() -> Void)?

    private let isSimulated: Bool
    private var dirty: ContiguousArray<Transport> = []
    private var isScheduled = false
    private var task: @Sendable () -> Void = {}

    /// Flushes in one turn before the loop gets a chance to read again.
    private static let flushesMax = 4_096

    package init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        isSimulated = eventLoop is any SimulatedLoop
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        // One closure for the life of the loop. The cycle ends with the process, as the loop does.
        task = { bound.value.run() }
    }

    /// Nanoseconds of the monotonic clock, or of the loop's own in a simulation.
    package var now: Int64 {
        let time = isSimulated ? eventLoop.now : NIODeadline.now()
        return Int64(bitPattern: time.uptimeNanoseconds)
    }

    /// Makes sure that the turn has an end.
    package func schedule() {
        if isScheduled { return }
        isScheduled = true
        eventLoop.execute(task)
    }

    func enqueue(_ transport: Transport) {
        dirty.append(transport)
        schedule()
    }

    private func run() {
        // Work that comes up from here on and can't be done in this turn schedules the next one.
        isScheduled = false
        beforeFlush?()
        var index = 0
        // A flush may make another connection dirty (credit for what was passed on): that one is in the same turn.
        while index < dirty.count, index < Self.flushesMax {
            dirty[index].flush()
            index += 1
        }
        afterFlush?()
        if index == dirty.count {
            dirty.removeAll(keepingCapacity: true)
        } else {
            dirty.removeFirst(index)
            schedule()
        }
    }
}

@available(*, unavailable)
extension Turn: Sendable {}
