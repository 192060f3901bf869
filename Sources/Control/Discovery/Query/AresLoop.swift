import DNS
import NIOPosix
import Policy
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The thread that drives c-ares: one channel per name server, poll(2) over their sockets, and a pipe that wakes it
/// when somebody has a question.
final class AresLoop: Sendable {
    private struct Request {
        let id: Int
        let server: Int
        let name: DNSName
        let type: DNSRecordType
    }

    private struct State {
        var isStopping = false
        var lastID = 0
        var requests: [Request] = []
        /// Whoever waits for a request, by its id: taken out by the answer or by cancellation, whichever is first.
        var waiting: [Int: CheckedContinuation<Result<[UInt8], DNSFailure.Kind>, Never>] = [:]
        /// The pipe's ends; -1 once the thread has closed them.
        var wakeRead: Int32
        var wakeWrite: Int32
    }

    private let state: Mutex<State>
    private let servers: [EndpointAddress]
    private let timeout: Duration
    private let thread = NIOThreadPool(numberOfThreads: 1)

    /// - Parameters:
    ///   - servers: their indices are what ``ask(server:name:type:)`` takes.
    ///   - timeout: per question.
    /// - Throws: `.system` when the process is out of descriptors.
    init(servers: [EndpointAddress], timeout: Duration) throws(SystemFailure) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw SystemFailure(call: "pipe") }
        for end in ends {
            // A full pipe means that the thread is about to wake anyway; blocking on it would be wrong.
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        self.state = Mutex(State(wakeRead: ends[0], wakeWrite: ends[1]))
        self.servers = servers
        self.timeout = timeout
        thread.start()
        let wakeRead = ends[0]
        thread.submit { [self] _ in run(wakeRead: wakeRead) }
    }

    /// Asks one server once (and again over TCP when the answer was cut). Callable from anywhere.
    func ask(server: Int, name: DNSName, type: DNSRecordType) async -> Result<[UInt8], DNSFailure.Kind> {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isTaken = state.withLock { state in
                    guard !state.isStopping else { return false }
                    state.waiting[id] = continuation
                    state.requests.append(Request(id: id, server: server, name: name, type: type))
                    Self.wake(state)
                    return true
                }
                if !isTaken { continuation.resume(returning: .failure(.cancelled)) }
                // A cancellation before this point found nobody waiting.
                if isTaken, Task.isCancelled { finish(id, .failure(.cancelled)) }
            }
        } onCancel: {
            finish(id, .failure(.cancelled))
        }
    }

    /// Ends every question as `.cancelled` and the thread with it. May be called more than once.
    func stop() async {
        state.withLock { state in
            state.isStopping = true
            Self.wake(state)
        }
        // Waits for the thread; its only error is a second call, and then there is nothing left to wait for.
        try? await thread.shutdownGracefully()
    }

    private func finish(_ id: Int, _ result: Result<[UInt8], DNSFailure.Kind>) {
        let waiter = state.withLock { $0.waiting.removeValue(forKey: id) }
        waiter?.resume(returning: result)
    }

    private static func wake(_ state: borrowing State) {
        guard state.wakeWrite >= 0 else { return }
        var byte: UInt8 = 0
        _ = write(state.wakeWrite, &byte, 1)
    }

    // MARK: On the thread

    private func run(wakeRead: Int32) {
        var channels: [Int: AresChannel] = [:]
        while let requests = takeRequests() {
            for request in requests { start(request, &channels) }
            wait(wakeRead: wakeRead, channels: channels)
        }
        // Destroys the channels, which ends their queries as `.cancelled`.
        channels.removeAll()
        let orphans = state.withLock { state in
            close(state.wakeRead)
            close(state.wakeWrite)
            state.wakeRead = -1
            state.wakeWrite = -1
            state.requests.removeAll()
            return Array(state.waiting.keys)
        }
        for id in orphans { finish(id, .failure(.cancelled)) }
    }

    /// What came in since the last turn; nil to stop.
    private func takeRequests() -> [Request]? {
        state.withLock { state in
            if state.isStopping { return nil }
            defer { state.requests.removeAll(keepingCapacity: true) }
            return state.requests
        }
    }

    /// Sends a request on its server's channel, which is made when first needed, and again after it could not be.
    private func start(_ request: Request, _ channels: inout [Int: AresChannel]) {
        do throws(AresError) {
            let channel: AresChannel
            if let existing = channels[request.server] {
                channel = existing
            } else {
                channel = try AresChannel(server: servers[request.server], timeout: timeout)
                channels[request.server] = channel
            }
            channel.query(name: request.name, type: request.type) { [self] result in finish(request.id, result) }
        } catch {
            finish(request.id, .failure(error.failureKind))
        }
    }

    /// One turn: sleeps until a socket is ready, a query times out or somebody wakes us, and handles it.
    private func wait(wakeRead: Int32, channels: [Int: AresChannel]) {
        var descriptors = [pollfd(fd: wakeRead, events: Int16(POLLIN), revents: 0)]
        var owners: [AresChannel] = []
        for channel in channels.values {
            for interest in channel.interests {
                let events = (interest.readable ? POLLIN : 0) | (interest.writable ? POLLOUT : 0)
                descriptors.append(pollfd(fd: interest.descriptor, events: Int16(events), revents: 0))
                owners.append(channel)
            }
        }
        let timeout = channels.values.compactMap(\.millisecondsToTimeout).min() ?? -1
        // An interrupted call reports nothing ready, and the next turn asks again.
        guard poll(&descriptors, nfds_t(descriptors.count), timeout) >= 0 else { return }

        if descriptors[0].revents != 0 { Self.drain(wakeRead) }
        for (ready, channel) in zip(descriptors.dropFirst(), owners) where ready.revents != 0 {
            // An error shows as readable: c-ares finds it by reading, and closes the socket.
            let hasFailed = Int32(ready.revents) & (Int32(POLLERR) | Int32(POLLHUP) | Int32(POLLNVAL)) != 0
            let isReadable = hasFailed || Int32(ready.revents) & Int32(POLLIN) != 0
            let isWritable = Int32(ready.revents) & Int32(POLLOUT) != 0
            channel.process(readable: isReadable ? ready.fd : nil, writable: isWritable ? ready.fd : nil)
        }
        for channel in channels.values { channel.processTimeouts() }
    }

    private static func drain(_ descriptor: Int32) {
        var buffer = [UInt8](repeating: 0, count: 256)
        while read(descriptor, &buffer, buffer.count) == buffer.count {}
    }
}

/// A system call that failed, with the error it left.
struct SystemFailure: Error, CustomStringConvertible {
    let call: String
    let error = errno

    var description: String { "\(call): \(String(cString: strerror(error)))" }
}
