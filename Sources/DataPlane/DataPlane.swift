package import Logging
import NIOCore
package import NIOPosix
package import Policy
import Synchronization
package import Telemetry

/// The data plane as the rest of the process sees it: workers that serve listeners by the snapshot they were last
/// given.
package actor DataPlane {
    private let group: MultiThreadedEventLoopGroup
    private let workers: [NIOLoopBound<Worker>]
    private let logger: Logger
    private let overloadGuard: OverloadGuard
    private var listeners: [Listener] = []

    /// - Parameters:
    ///   - group: one event loop per worker.
    ///   - bufferLimit: bytes of bodies that the process holds between the two legs before it stops giving credit.
    ///   - overload: when it refuses new requests and connections.
    ///   - descriptorLimit: descriptors that the process may have open; nil for its limit as it is now.
    package init(
        group: MultiThreadedEventLoopGroup, registry: MetricsRegistry, logger: Logger,
        bufferLimit: Int = Limits().maxBufferedBytesPerProcess, overload: OverloadSettings = OverloadSettings(),
        descriptorLimit: Int? = nil
    ) async throws {
        self.group = group
        self.logger = logger
        let loops = Array(group.makeIterator())
        let overloadGuard = OverloadGuard(
            overload, workers: loops.count, bufferLimit: bufferLimit,
            descriptorLimit: descriptorLimit ?? Descriptors.limit, descriptorsInUse: Descriptors.countOpen())
        self.overloadGuard = overloadGuard
        var workers: [NIOLoopBound<Worker>] = []
        for (index, loop) in loops.enumerated() {
            let worker = try await loop.submit {
                let worker = Worker(
                    eventLoop: loop, registry: registry, bufferBudget: bufferLimit / loops.count, logger: logger,
                    index: index, workerCount: loops.count, overloadGuard: overloadGuard)
                worker.watchLoad()
                return NIOLoopBound(worker, eventLoop: loop)
            }.get()
            workers.append(worker)
        }
        self.workers = workers
    }

    package var workerCount: Int { workers.count }

    /// Posts a snapshot to every worker. Callable from any thread.
    package nonisolated func publish(_ snapshot: Snapshot) {
        for worker in workers {
            worker.eventLoop.execute { worker.value.apply(snapshot) }
        }
    }

    /// Posts a snapshot and waits until every worker works from it.
    package nonisolated func publishAndWait(_ snapshot: Snapshot) async throws {
        for worker in workers {
            try await worker.eventLoop.submit { worker.value.apply(snapshot) }.get()
        }
    }

    /// Makes the set of listeners equal to `settings`: new ones are opened first, so that a failure changes nothing;
    /// those that are as before are not touched; those that left stop accepting, and their connections are drained.
    /// - Returns: what each listener is bound to, in the order of `settings`.
    /// - Throws: ``ListenError``.
    @discardableResult
    package func listen(_ settings: [ListenerSettings]) async throws -> [(name: String, address: ListenAddress)] {
        var next: [Listener] = []
        var opened: [Listener] = []
        let old = listeners
        do {
            for wanted in settings {
                if let same = old.first(where: { $0.settings == wanted }) {
                    next.append(same)
                } else {
                    let listener = try await Listener.bind(
                        wanted, workers: workers, group: group,
                        sharesAddress: old.contains { $0.boundAddress == wanted.address })
                    overloadGuard.noteDescriptors(listener.socketCount)
                    opened.append(listener)
                    next.append(listener)
                }
            }
        } catch {
            for listener in opened { await close(listener) }
            throw error
        }
        listeners = next
        for listener in old where !next.contains(where: { $0 === listener }) {
            await close(listener)
            drainConnections { $0 == listener.settings }
        }
        return next.map { ($0.settings.name, $0.boundAddress) }
    }

    /// Says GOAWAY (in two steps) on every connection; new connections are still accepted.
    package nonisolated func announceDrain() {
        drainConnections { _ in true }
    }

    /// Stops accepting.
    package func stopListening() async {
        for listener in listeners { await close(listener) }
        listeners = []
    }

    private func close(_ listener: Listener) async {
        await listener.close()
        overloadGuard.noteDescriptors(-listener.socketCount)
    }

    /// Ends the streams that are left, and closes.
    package nonisolated func endNow() {
        for worker in workers {
            worker.eventLoop.execute {
                for connection in Array(worker.value.connections.values) { connection.endNow() }
            }
        }
    }

    /// Connections from callers that are open, over all workers.
    package nonisolated func openConnections() async -> Int {
        var count = 0
        for worker in workers {
            count += (try? await worker.eventLoop.submit { worker.value.connections.count }.get()) ?? 0
        }
        return count
    }

    private nonisolated func drainConnections(where matches: @escaping @Sendable (ListenerSettings) -> Bool) {
        for worker in workers {
            worker.eventLoop.execute {
                for connection in Array(worker.value.connections.values) where matches(connection.settings) {
                    connection.drain()
                }
            }
        }
    }
}
