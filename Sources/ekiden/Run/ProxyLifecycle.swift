import Control
import Synchronization

/// Where the proxy stands between start and exit; asked by the admin, moved by signals.
final class ProxyLifecycle: Sendable {
    private struct State {
        var isDraining = false
        var configuration: Configuration?
        var lastReloadSucceeded: Bool?
    }

    private let state = Mutex(State())
    private let drainSignal: AsyncStream<Void>
    private let drainSignalSource: AsyncStream<Void>.Continuation

    init() {
        (drainSignal, drainSignalSource) = AsyncStream.makeStream()
    }

    var isDraining: Bool { state.withLock { $0.isDraining } }

    /// The configuration of the last reload; nil before the first.
    var configuration: Configuration? {
        get { state.withLock { $0.configuration } }
        set { state.withLock { $0.configuration = newValue } }
    }

    /// Whether the last reload was taken; nil before the first.
    var lastReloadSucceeded: Bool? { state.withLock { $0.lastReloadSucceeded } }

    func noteReload(succeeded: Bool) {
        state.withLock { $0.lastReloadSucceeded = succeeded }
    }

    /// - Returns: false when the drain had begun before.
    func beginDrain() -> Bool {
        let isFirst = state.withLock { state in
            defer { state.isDraining = true }
            return !state.isDraining
        }
        if isFirst { drainSignalSource.finish() }
        return isFirst
    }

    /// Waits for ``beginDrain()``.
    /// - Returns: false when the task was cancelled before.
    func drainBegins() async -> Bool {
        for await _ in drainSignal {}
        return isDraining
    }
}
