import DNS
import Policy
import Synchronization
import Testing

@testable import Control

/// A clock that stands still until the test turns it, and tells the test who sleeps.
final class ManualClock: Clock {
    struct Instant: InstantProtocol {
        var offset: Duration

        func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }
        func duration(to other: Instant) -> Duration { other.offset - offset }
        static func < (first: Instant, second: Instant) -> Bool { first.offset < second.offset }
    }

    private struct State {
        var now = Instant(offset: .zero)
        var nextID = 0
        var sleepers: [Int: (deadline: Instant, continuation: CheckedContinuation<Void, any Error>)] = [:]
        var watchers: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    var now: Instant { state.withLock { $0.now } }
    var minimumResolution: Duration { .nanoseconds(1) }

    func sleep(until deadline: Instant, tolerance: Duration?) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let (isOver, watchers) = state.withLock { state -> (Bool, [CheckedContinuation<Void, Never>]) in
                    if Task.isCancelled || deadline <= state.now { return (true, []) }
                    state.sleepers[id] = (deadline, continuation)
                    defer { state.watchers.removeAll() }
                    return (false, state.watchers)
                }
                for watcher in watchers { watcher.resume() }
                if isOver {
                    continuation.resume(with: Task.isCancelled ? .failure(CancellationError()) : .success(()))
                }
            }
        } onCancel: {
            let sleeper = state.withLock { $0.sleepers.removeValue(forKey: id) }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }

    /// Waits until somebody sleeps.
    /// - Returns: how long until the first of them wakes.
    func nextSleep() async -> Duration {
        while true {
            let earliest = state.withLock { state in
                state.sleepers.values.map { state.now.duration(to: $0.deadline) }.min()
            }
            if let earliest { return earliest }
            await withCheckedContinuation { watcher in
                let isLate = state.withLock { state in
                    if state.sleepers.isEmpty { state.watchers.append(watcher) }
                    return !state.sleepers.isEmpty
                }
                if isLate { watcher.resume() }
            }
        }
    }

    /// Moves time on and wakes whoever is due.
    func advance(by duration: Duration) {
        let due = state.withLock { state in
            state.now = state.now.advanced(by: duration)
            let due = state.sleepers.filter { $0.value.deadline <= state.now }
            for id in due.keys { state.sleepers[id] = nil }
            return due.values.map(\.continuation)
        }
        for continuation in due { continuation.resume() }
    }
}

/// A transport whose answers are set by the test, by name and type.
final class FakeTransport: DNSTransport {
    enum Answer {
        case addresses([String], ttl: UInt32)
        case services([DNSRecord.Service], ttl: UInt32)
        case failure(DNSFailure.Kind, negativeTTL: UInt32? = nil)
        /// Until the query is cancelled or the transport closed.
        case silence
    }

    private struct State {
        var answers: [String: Answer] = [:]
        var queries: [DNSQuestion] = []
        var firstServers: [Int] = []
        /// Questions under way, and the most that ever were.
        var open = 0
        var openMost = 0
        var isClosed = false
        var silent: [Int: CheckedContinuation<Void, Never>] = [:]
        var nextID = 0
    }

    static let server = EndpointAddress(host: "127.0.0.1", port: 5353)
    private let state = Mutex(State())

    /// Without an answer a name is NXDOMAIN, and an AAAA question NODATA.
    func set(_ name: String, _ answer: Answer, for type: DNSRecordType = .a) {
        state.withLock { $0.answers["\(name) \(type)"] = answer }
    }

    /// How often a record of the name was asked for.
    func lookups(of name: String, _ type: DNSRecordType = .a) -> Int {
        state.withLock { $0.queries.count { $0.type == type && $0.name.description == name } }
    }

    /// How far the order of the servers was turned, by question.
    var firstServers: [Int] { state.withLock { $0.firstServers } }

    /// The most questions that were under way at a time.
    var openMost: Int { state.withLock { $0.openMost } }

    var isClosed: Bool { state.withLock { $0.isClosed } }

    func query(name: DNSName, type: DNSRecordType, firstServer: Int) async -> DNSReply {
        state.withLock { state in
            state.firstServers.append(firstServer)
            state.open += 1
            state.openMost = max(state.openMost, state.open)
        }
        let result = await answer(name: name, type: type)
        state.withLock { $0.open -= 1 }
        return DNSReply(
            result,
            attempts: [DNSAttempt(name: name, type: type, server: Self.server, result: result, elapsed: .zero)])
    }

    private func answer(name: DNSName, type: DNSRecordType) async -> Result<DNSAnswer, DNSFailure> {
        func failure(_ kind: DNSFailure.Kind, negativeTTL: UInt32? = nil) -> Result<DNSAnswer, DNSFailure> {
            .failure(DNSFailure(kind, name: name.description, server: Self.server, negativeTTL: negativeTTL))
        }
        let (answer, id) = state.withLock { state in
            state.queries.append(DNSQuestion(name: name, type: type))
            state.nextID += 1
            return (state.answers["\(name) \(type)"] ?? .failure(type == .aaaa ? .noData : .nameError), state.nextID)
        }
        switch answer {
        case .addresses(let texts, let ttl):
            let records = texts.compactMap { IPAddress(text: $0) }.map {
                DNSRecord(name: name, type: type, ttl: ttl, data: .address($0))
            }
            return .success(DNSAnswer(records: records, ttl: ttl, server: Self.server))
        case .services(let services, let ttl):
            let records = services.map { DNSRecord(name: name, type: type, ttl: ttl, data: .service($0)) }
            return .success(DNSAnswer(records: records, ttl: ttl, server: Self.server))
        case .failure(let kind, let negativeTTL):
            return failure(kind, negativeTTL: negativeTTL)
        case .silence:
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let isOver = state.withLock { state in
                        if Task.isCancelled || state.isClosed { return true }
                        state.silent[id] = continuation
                        return false
                    }
                    if isOver { continuation.resume() }
                }
            } onCancel: {
                state.withLock { $0.silent.removeValue(forKey: id) }?.resume()
            }
            return failure(.cancelled)
        }
    }

    func close() async {
        let silent = state.withLock { state in
            state.isClosed = true
            defer { state.silent.removeAll() }
            return Array(state.silent.values)
        }
        for continuation in silent { continuation.resume() }
    }
}

/// Values of a callback that the test takes one by one.
final class Received<Value: Sendable>: Sendable {
    private struct State {
        var values: [Value] = []
        var waiter: CheckedContinuation<Value, Never>?
    }

    private let state = Mutex(State())

    func add(_ value: Value) {
        let waiter = state.withLock { state in
            defer { state.waiter = nil }
            if state.waiter == nil { state.values.append(value) }
            return state.waiter
        }
        waiter?.resume(returning: value)
    }

    /// The next value; suspends until there is one. One caller at a time.
    func next() async -> Value {
        await withCheckedContinuation { continuation in
            let value: Value? = state.withLock { state in
                if !state.values.isEmpty { return state.values.removeFirst() }
                state.waiter = continuation
                return nil
            }
            if let value { continuation.resume(returning: value) }
        }
    }
}
