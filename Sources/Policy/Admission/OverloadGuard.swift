import Synchronization

/// Knows how loaded the process is: every worker says how it fares and hears what is too much. Lock-free.
///
/// Sums over the workers are as old as what they published last (a tenth of a second), but for descriptors, of which
/// a burst of connections could use up all in that time.
package final class OverloadGuard: Sendable {
    package let settings: OverloadSettings
    private let bufferLimit: Int
    private let descriptorLimit: Int
    /// Without those of connections to tasks, which the workers publish.
    private let descriptors: Atomic<Int>
    private let workers: [Published]

    private final class Published: Sendable {
        let lag = Atomic<Int64>(0)
        let streams = Atomic<Int>(0)
        let bufferedBytes = Atomic<Int>(0)
        let taskConnections = Atomic<Int>(0)
    }

    /// - Parameters:
    ///   - bufferLimit: bytes of bodies that the process may hold.
    ///   - descriptorLimit: that of the process.
    ///   - descriptorsInUse: those that are open now.
    package init(
        _ settings: OverloadSettings, workers: Int, bufferLimit: Int, descriptorLimit: Int, descriptorsInUse: Int
    ) {
        self.settings = settings
        self.bufferLimit = bufferLimit
        self.descriptorLimit = descriptorLimit
        descriptors = Atomic(descriptorsInUse)
        self.workers = (0..<workers).map { _ in Published() }
    }

    /// One that refuses nothing.
    package static func idle(workers: Int) -> OverloadGuard {
        var settings = OverloadSettings()
        settings.isEnabled = false
        return OverloadGuard(
            settings, workers: workers, bufferLimit: .max, descriptorLimit: .max, descriptorsInUse: 0)
    }

    /// How one worker fares.
    package struct WorkerLoad: Sendable {
        /// Nanoseconds; see ``LagWindow``.
        package var lag: Int64
        package var streams: Int
        package var bufferedBytes: Int
        package var taskConnections: Int

        package init(lag: Int64, streams: Int, bufferedBytes: Int, taskConnections: Int) {
            self.lag = lag
            self.streams = streams
            self.bufferedBytes = bufferedBytes
            self.taskConnections = taskConnections
        }
    }

    /// Takes in how a worker fares.
    /// - Returns: why it should refuse new requests, if it should. Of lag only its own counts: another loop serves its
    ///   requests no sooner for what is refused here.
    package func judge(_ load: WorkerLoad, of worker: Int) -> OverloadReason? {
        let own = workers[worker]
        own.lag.store(load.lag, ordering: .relaxed)
        own.streams.store(load.streams, ordering: .relaxed)
        own.bufferedBytes.store(load.bufferedBytes, ordering: .relaxed)
        own.taskConnections.store(load.taskConnections, ordering: .relaxed)
        guard settings.isEnabled else { return nil }
        if load.lag > settings.maxLoopLag.nanoseconds { return .loopLag(load.lag) }
        let streams = workers.reduce(0) { $0 + $1.streams.load(ordering: .relaxed) }
        if streams >= settings.maxStreams { return .streams(streams) }
        let buffered = workers.reduce(0) { $0 + $1.bufferedBytes.load(ordering: .relaxed) }
        if Self.exceeds(buffered, settings.maxBufferShare, of: bufferLimit) {
            return .buffers(buffered, limit: bufferLimit)
        }
        return nil
    }

    /// Why no further connection of a caller should be taken; nil takes it.
    package var connectionRefusal: OverloadReason? {
        guard settings.isEnabled else { return nil }
        let count =
            descriptors.load(ordering: .relaxed)
            + workers.reduce(0) { $0 + $1.taskConnections.load(ordering: .relaxed) }
        return Self.exceeds(count, settings.maxDescriptorShare, of: descriptorLimit)
            ? .descriptors(count, limit: descriptorLimit) : nil
    }

    /// Notes descriptors that were opened (or closed, negative), other than those of connections to tasks.
    package func noteDescriptors(_ count: Int) {
        descriptors.add(count, ordering: .relaxed)
    }

    /// The lag of the worker that is latest, in nanoseconds.
    package var highestLag: Int64 {
        workers.reduce(0) { max($0, $1.lag.load(ordering: .relaxed)) }
    }

    private static func exceeds(_ count: Int, _ share: Double, of limit: Int) -> Bool {
        Double(count) > Double(limit) * share
    }
}
