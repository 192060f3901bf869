import Control
import Synchronization
import Telemetry

/// Where the proxy stands between start and exit; asked by the admin, moved by signals.
final class ProxyLifecycle: Sendable {
    private struct State {
        var isStarting = true
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

    /// Until the listeners are open and discovery had its first chance.
    var isStarting: Bool { state.withLock { $0.isStarting } }

    func noteStarted() {
        state.withLock { $0.isStarting = false }
    }

    var isDraining: Bool { state.withLock { $0.isDraining } }

    /// The configuration of the last reload; nil before the first.
    var configuration: Configuration? {
        get { state.withLock { $0.configuration } }
        set { state.withLock { $0.configuration = newValue } }
    }

    /// Metrics of the process's own doings.
    var families: [MetricFamily] {
        let succeeded = state.withLock { $0.lastReloadSucceeded } ?? true
        return [
            MetricFamily(
                .gauge, "ekiden_config_last_reload_ok", "Whether the last reload was taken; 1 before the first.",
                [.init(succeeded ? 1 : 0)])
        ]
    }

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
