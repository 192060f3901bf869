import Dispatch
import Synchronization

/// What a process has said so far, in order, and those who wait for it to say something.
final class EventLog<Event: Sendable>: Sendable {
    private struct Waiter {
        let id: Int
        let offer: @Sendable (Event) -> Bool
        let giveUp: @Sendable (any Error) -> Void
    }

    private struct State {
        var events: [Event] = []
        var waiters: [Waiter] = []
        var nextID = 0
        var isClosed = false
    }

    private let name: String
    private let state = Mutex(State())

    init(_ name: String) {
        self.name = name
    }

    /// Everything so far.
    var all: [Event] {
        state.withLock { $0.events }
    }

    func append(_ event: Event) {
        state.withLock { state in
            state.events.append(event)
            state.waiters.removeAll { $0.offer(event) }
        }
    }

    /// Nothing more will come: those who still wait get an error.
    func close() {
        let left = state.withLock { state in
            state.isClosed = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in left {
            waiter.giveUp(HarnessError("\(name) ended before it said what the test waits for"))
        }
    }

    /// The first value that `match` finds, in what was said after the first `position` events or is still to come.
    func first<Value: Sendable>(
        after position: Int = 0, within limit: Duration = .seconds(60), _ what: String,
        _ match: @escaping @Sendable (Event) -> Value?
    ) async throws -> Value {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                self.wait(id, after: position, continuation, match)
                DispatchQueue.global().asyncAfter(deadline: .now() + limit / .seconds(1)) { [weak self] in
                    guard let self else { return }
                    self.giveUp(id, HarnessError("waited \(limit) in vain for \(what) from \(self.name)"))
                }
            }
        } onCancel: {
            self.giveUp(id, CancellationError())
        }
    }

    private func wait<Value: Sendable>(
        _ id: Int, after position: Int, _ continuation: CheckedContinuation<Value, any Error>,
        _ match: @escaping @Sendable (Event) -> Value?
    ) {
        state.withLock { state in
            for event in state.events.dropFirst(position) {
                if let value = match(event) {
                    continuation.resume(returning: value)
                    return
                }
            }
            if state.isClosed || Task.isCancelled {
                continuation.resume(
                    throwing: HarnessError("\(name) ended before it said what the test waits for"))
                return
            }
            let waiter = Waiter(
                id: id,
                offer: { event in
                    guard let value = match(event) else { return false }
                    continuation.resume(returning: value)
                    return true
                },
                giveUp: { continuation.resume(throwing: $0) })
            state.waiters.append(waiter)
        }
    }

    private func giveUp(_ id: Int, _ error: any Error) {
        let waiter = state.withLock { state -> Waiter? in
            guard let index = state.waiters.firstIndex(where: { $0.id == id }) else { return nil }
            return state.waiters.remove(at: index)
        }
        waiter?.giveUp(error)
    }
}

/// Something that the test set-up needs did not happen; says what.
struct HarnessError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
