import Synchronization

/// "Look again now", from any thread to the one resolver that waits for it. Requests that come while nobody waits are
/// remembered as one.
final class RefreshSignal: Sendable {
    private enum State {
        case quiet
        case requested
        case waiting(CheckedContinuation<Bool, Never>)
    }

    private let state = Mutex(State.quiet)

    /// Cheap; called by the workers after connect failures, perhaps many times a second.
    func request() {
        let waiter: CheckedContinuation<Bool, Never>? = state.withLock { state in
            if case .waiting(let continuation) = state {
                state = .quiet
                return continuation
            }
            state = .requested
            return nil
        }
        waiter?.resume(returning: true)
    }

    /// Forgets a request: a lookup that answers it is about to begin.
    func clear() {
        state.withLock { state in
            if case .requested = state { state = .quiet }
        }
    }

    /// Waits for a request.
    /// - Returns: false when the time was over first, or the task was cancelled.
    func wait(atMost limit: Duration, clock: DiscoveryClock) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask { await self.wait() }
            group.addTask {
                try? await clock.sleep(limit)
                return false
            }
            let isRequested = await group.next() ?? false
            group.cancelAll()
            return isRequested
        }
    }

    private func wait() async -> Bool {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let outcome: Bool? = state.withLock { state in
                    if case .requested = state {
                        state = .quiet
                        return true
                    }
                    if Task.isCancelled { return false }
                    state = .waiting(continuation)
                    return nil
                }
                if let outcome { continuation.resume(returning: outcome) }
            }
        } onCancel: {
            let waiter: CheckedContinuation<Bool, Never>? = state.withLock { state in
                guard case .waiting(let continuation) = state else { return nil }
                state = .quiet
                return continuation
            }
            waiter?.resume(returning: false)
        }
    }
}
