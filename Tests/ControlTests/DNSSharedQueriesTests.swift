import DNS
import Policy
import Synchronization
import Testing

@testable import Control

@Suite("Questions that are asked at the same time", .timeLimit(.minutes(1)))
struct DNSSharedQueriesTests {
    private let transport = HeldTransport()
    private let shared: SharedQueries
    private let users: DNSName
    private let orders: DNSName

    init() throws {
        shared = SharedQueries(over: transport)
        users = try #require(DNSName("users.local"))
        orders = try #require(DNSName("orders.local"))
    }

    /// Asks in a task of its own, and returns once the question waits.
    private func ask(_ name: DNSName, type: DNSRecordType = .a, firstServer: Int = 0) async -> Task<DNSReply, Never> {
        let before = shared.waiting
        let task = Task { await shared.query(name: name, type: type, firstServer: firstServer) }
        while shared.waiting == before { await Task.yield() }
        return task
    }

    @Test("the same question is asked once, and all get the reply")
    func sharing() async throws {
        var tasks: [Task<DNSReply, Never>] = []
        for _ in 0..<10 { tasks.append(await ask(users)) }
        let query = await transport.nextQuery()
        transport.answer(query, ttl: 7)
        for task in tasks { #expect(try await task.value.result.get().ttl == 7) }
        #expect(transport.count == 1)
    }

    @Test("another name, type or first server is another question")
    func differences() async throws {
        let tasks = [
            await ask(users), await ask(orders), await ask(users, type: .aaaa), await ask(users, firstServer: 1),
        ]
        for _ in tasks { transport.answer(await transport.nextQuery(), ttl: 1) }
        for task in tasks { _ = try await task.value.result.get() }
        #expect(transport.count == 4)
    }

    @Test("a question after the answer is asked anew")
    func afterwards() async throws {
        for ttl in UInt32(1)...3 {
            let task = await ask(users)
            transport.answer(await transport.nextQuery(), ttl: ttl)
            #expect(try await task.value.result.get().ttl == ttl)
        }
        #expect(transport.count == 3)
    }

    @Test("who is cancelled leaves at once, and the others get their answer")
    func oneLeaves() async throws {
        let (first, second) = (await ask(users), await ask(users))
        let query = await transport.nextQuery()
        first.cancel()
        #expect(await first.value.result.isCancelled)
        // Cancellation is told on the spot, by whoever cancels.
        #expect(!transport.isCancelled(query))
        transport.answer(query, ttl: 4)
        #expect(try await second.value.result.get().ttl == 4)
        #expect(transport.count == 1)
    }

    @Test("when the last one leaves, the query is cancelled, and the next question starts another")
    func allLeave() async throws {
        let (first, second) = (await ask(users), await ask(users))
        let abandoned = await transport.nextQuery()
        first.cancel()
        second.cancel()
        #expect(await first.value.result.isCancelled)
        #expect(await second.value.result.isCancelled)
        #expect(await transport.nextCancellation() == abandoned)

        let third = await ask(users)
        let query = await transport.nextQuery()
        // The abandoned query ends late: its reply is nobody's.
        transport.answer(abandoned, ttl: 1)
        transport.answer(query, ttl: 2)
        #expect(try await third.value.result.get().ttl == 2)
    }

    @Test("a task that is cancelled already asks nothing")
    func cancelledBefore() async {
        let task = Task {
            while !Task.isCancelled { await Task.yield() }
            return await shared.query(name: users, type: .a, firstServer: 0)
        }
        task.cancel()
        #expect(await task.value.result.isCancelled)
        #expect(transport.count == 0)
    }

    @Test("closing ends what is in flight")
    func close() async {
        let tasks = [await ask(users), await ask(users)]
        _ = await transport.nextQuery()
        await shared.close()
        for task in tasks { #expect(await task.value.result.isCancelled) }
    }

    @Test("however many come and go, all of them end")
    func churn() async {
        let shared = SharedQueries(over: QuickTransport())
        let ended = await withTaskGroup(of: Bool.self) { group in
            for number in 0..<500 {
                group.addTask {
                    let task = Task { await shared.query(name: users, type: .a, firstServer: number % 3) }
                    if number.isMultiple(of: 2) {
                        await Task.yield()
                        task.cancel()
                    }
                    let result = await task.value.result
                    return number.isMultiple(of: 2) ? true : !result.isCancelled
                }
            }
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(ended == 500, "only who was cancelled may get no answer")
        #expect(shared.waiting == 0)
    }
}

/// Answers each query after a moment, and gives up those that are cancelled.
private final class QuickTransport: DNSTransport {
    func query(name: DNSName, type: DNSRecordType, firstServer: Int) async -> DNSReply {
        for _ in 0..<5 { await Task.yield() }
        if Task.isCancelled { return DNSReply(.failure(DNSFailure(.cancelled, name: name.description))) }
        return DNSReply(.success(DNSAnswer(records: [], ttl: 1, server: FakeTransport.server)))
    }

    func close() async {}
}

/// Counts queries and holds each until the test answers it, even when it is cancelled.
private final class HeldTransport: DNSTransport {
    private struct State {
        var count = 0
        var held: [Int: CheckedContinuation<DNSReply, Never>] = [:]
        var cancelled: Set<Int> = []
    }

    private let state = Mutex(State())
    private let queries = Received<Int>()
    private let cancellations = Received<Int>()

    var count: Int { state.withLock { $0.count } }

    func isCancelled(_ query: Int) -> Bool { state.withLock { $0.cancelled.contains(query) } }

    /// The number of the next query that has arrived; suspends until there is one.
    func nextQuery() async -> Int { await queries.next() }

    /// Waits until a query is cancelled.
    /// - Returns: its number.
    func nextCancellation() async -> Int { await cancellations.next() }

    func answer(_ query: Int, ttl: UInt32) {
        end(query, .success(DNSAnswer(records: [], ttl: ttl, server: FakeTransport.server)))
    }

    func query(name: DNSName, type: DNSRecordType, firstServer: Int) async -> DNSReply {
        let id = state.withLock { state in
            state.count += 1
            return state.count
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                state.withLock { $0.held[id] = continuation }
                queries.add(id)
            }
        } onCancel: {
            _ = state.withLock { $0.cancelled.insert(id) }
            cancellations.add(id)
        }
    }

    func close() async {
        let held = state.withLock { Array($0.held.keys) }
        for id in held { end(id, .failure(DNSFailure(.cancelled, name: "held"))) }
    }

    private func end(_ query: Int, _ result: Result<DNSAnswer, DNSFailure>) {
        state.withLock { $0.held.removeValue(forKey: query) }?.resume(returning: DNSReply(result))
    }
}
