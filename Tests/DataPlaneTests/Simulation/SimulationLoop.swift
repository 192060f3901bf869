import Dispatch
import NIOCore
import Policy

@testable import DataPlane

/// An event loop whose time stands still while anything runs and leaps to the next event when nothing does: a second
/// costs nothing, and the order of events follows from the seed alone. Confined to the thread that runs it.
final class SimulationLoop: SimulatedLoop, @unchecked Sendable {
    /// Something that is due at a time. Events of one time run in the order in which they were asked for.
    private final class Event {
        let time: Int64
        let order: Int
        var body: (() -> Void)?

        init(time: Int64, order: Int, body: @escaping () -> Void) {
            self.time = time
            self.order = order
            self.body = body
        }

        func precedes(_ other: Event) -> Bool {
            time == other.time ? order < other.order : time < other.time
        }
    }

    /// Nanoseconds; begins far from zero, which means "never" in places.
    private(set) var time: Int64 = 1_000_000_000_000
    /// A binary heap.
    private var events: ContiguousArray<Event> = []
    /// What is due now, and how much of it has run.
    private var due: ContiguousArray<() -> Void> = []
    private var dueHead = 0
    private var order = 0
    /// Events that have run.
    private(set) var count = 0
    /// Where the data plane's connects lead to. The network holds the loop.
    weak var network: SimulatedNetwork?

    var now: NIODeadline { .uptimeNanoseconds(UInt64(time)) }

    // MARK: Running

    /// Runs what is due until `end`, in order, and leaves the time there.
    func run(until end: Int64) {
        while true {
            while dueHead < due.count {
                let body = due[dueHead]
                dueHead += 1
                count += 1
                body()
            }
            due.removeAll(keepingCapacity: true)
            dueHead = 0
            guard let next = events.first, next.time <= end else { break }
            removeFirst()
            guard let body = next.body else { continue }
            time = max(time, next.time)
            count += 1
            body()
        }
        time = max(time, end)
    }

    /// Has `body` run at a time, in nanoseconds.
    func at(_ time: Int64, _ body: @escaping () -> Void) {
        insert(Event(time: max(time, self.time), order: nextOrder(), body: body))
    }

    /// Has `body` run after a while, in nanoseconds.
    func after(_ delay: Int64, _ body: @escaping () -> Void) {
        at(time + delay, body)
    }

    /// Has `body` run when what runs now is over.
    func soon(_ body: @escaping () -> Void) {
        due.append(body)
    }

    /// Forgets what has not run.
    func clear() {
        events.removeAll()
        due.removeAll()
        dueHead = 0
    }

    private func nextOrder() -> Int {
        order += 1
        return order
    }

    private func insert(_ event: Event) {
        var index = events.count
        events.append(event)
        while index > 0 {
            let parent = (index - 1) / 2
            if !event.precedes(events[parent]) { break }
            events[index] = events[parent]
            index = parent
        }
        events[index] = event
    }

    private func removeFirst() {
        guard let last = events.popLast(), !events.isEmpty else { return }
        var index = 0
        while true {
            var child = index * 2 + 1
            if child >= events.count { break }
            if child + 1 < events.count, events[child + 1].precedes(events[child]) { child += 1 }
            if !events[child].precedes(last) { break }
            events[index] = events[child]
            index = child
        }
        events[index] = last
    }

    // MARK: EventLoop

    var inEventLoop: Bool { true }

    func preconditionInEventLoop(file: StaticString, line: UInt) {}
    func preconditionNotInEventLoop(file: StaticString, line: UInt) {}
    func _preconditionSafeToWait(file: StaticString, line: UInt) {}
    func _promiseCreated(futureIdentifier: _NIOEventLoopFutureIdentifier, file: StaticString, line: UInt) {}
    func _promiseCompleted(futureIdentifier: _NIOEventLoopFutureIdentifier) -> (file: StaticString, line: UInt)? {
        nil
    }

    func execute(_ task: @escaping @Sendable () -> Void) {
        soon(task)
    }

    func scheduleTask<T>(deadline: NIODeadline, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
        let promise = makePromise(of: T.self)
        let event = Event(time: max(Int64(deadline.uptimeNanoseconds), time), order: nextOrder()) {
            do {
                promise.assumeIsolated().succeed(try task())
            } catch {
                promise.fail(error)
            }
        }
        insert(event)
        let bound = NIOLoopBound(event, eventLoop: self)
        return Scheduled(promise: promise, cancellationTask: { bound.value.body = nil })
    }

    func scheduleTask<T>(in delay: TimeAmount, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
        scheduleTask(deadline: now + delay, task)
    }

    func shutdownGracefully(queue: DispatchQueue, _ callback: @escaping @Sendable ((any Error)?) -> Void) {
        clear()
        callback(nil)
    }

    // MARK: SimulatedLoop

    func connect(
        _ transport: Transport, to address: EndpointAddress, settings: ClusterSettings
    ) -> EventLoopFuture<any Channel> {
        network?.connect(transport, to: address, settings: settings) ?? makeFailedFuture(ChannelError.eof)
    }

    func facts(of channel: any Channel) -> KernelFacts? {
        (channel as? SimulatedSocket)?.facts
    }
}
