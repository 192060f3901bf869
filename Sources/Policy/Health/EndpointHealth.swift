import Synchronization

/// What active checks say of an endpoint. Written by the checker, read by the balancers of all workers.
package struct EndpointHealth: ~Copyable, Sendable {
    private let state = Atomic<Int>(State.unchecked.rawValue)
    /// Apart from the state, which balancers read in every pick.
    private let cause = Mutex<String?>(nil)

    package enum State: Int, Sendable {
        /// Nobody checks it.
        case unchecked
        /// The first check has no result yet: no streams while others are well.
        case pending
        case healthy
        case unhealthy
    }

    package init() {}

    package var current: State { State(rawValue: state.load(ordering: .relaxed)) ?? .unchecked }

    /// Whether checks let streams go there.
    package var isFit: Bool {
        let state = state.load(ordering: .relaxed)
        return state == State.unchecked.rawValue || state == State.healthy.rawValue
    }

    /// Why the endpoint is ill: what its last check that failed has shown; or, while it is pending, why it could not be
    /// checked; nil when it is neither.
    package var reason: String? { cause.withLock { $0 } }

    package func set(_ new: State, reason: String? = nil) {
        cause.withLock { $0 = reason }
        state.store(new.rawValue, ordering: .relaxed)
    }
}
