import Dispatch
import NIOCore
import Synchronization

/// The workers' loops as a group, for the one acceptor of a Unix socket. It owns none of them.
final class RoundRobinLoops: EventLoopGroup {
    private let loops: [any EventLoop]
    private let cursor = Atomic<Int>(0)

    /// - Parameter loops: at least one.
    init(_ loops: [any EventLoop]) {
        self.loops = loops
    }

    func next() -> any EventLoop {
        let turn = cursor.wrappingAdd(1, ordering: .relaxed).oldValue
        return loops[Int(UInt(bitPattern: turn) % UInt(loops.count))]
    }

    func any() -> any EventLoop { next() }

    func makeIterator() -> EventLoopIterator { EventLoopIterator(loops) }

    #if canImport(Dispatch)
    func shutdownGracefully(queue: DispatchQueue, _ callback: @escaping @Sendable ((any Error)?) -> Void) {
        queue.async { callback(nil) }
    }
    #endif
}
