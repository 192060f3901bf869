/// Faults that a route puts in on purpose, to rehearse what callers do about them.
package struct FaultPolicy: Sendable, Equatable {
    /// Only requests with this header (in lower case), and this value if there is one, get faults; nil: all.
    package var header: (name: String, value: String?)?
    /// Holds requests back before they are sent on.
    package var delay: Duration?
    /// Share of the requests that are delayed, 0...1.
    package var delayShare = 1.0
    /// Answers requests here.
    package var abort: Abort?
    package var abortShare = 1.0

    package enum Abort: Sendable, Equatable {
        case grpc(GRPCStatus)
        case http(Int)
    }

    package init() {}

    /// Draws which faults a request gets. Delay and abort are drawn each for itself; who gets both waits first.
    /// - Parameters:
    ///   - isMatched: whether the request has what ``header`` asks for.
    ///   - random: the worker's generator.
    package func decide(isMatched: Bool, random: inout SplitMix64) -> FaultDecision {
        guard isMatched else { return FaultDecision() }
        var decision = FaultDecision()
        if let delay, random.chance(delayShare) { decision.delay = max(delay.nanoseconds, 0) }
        if let abort, random.chance(abortShare) { decision.abort = abort }
        return decision
    }

    package static func == (first: FaultPolicy, second: FaultPolicy) -> Bool {
        first.header?.name == second.header?.name && first.header?.value == second.header?.value
            && first.delay == second.delay && first.delayShare == second.delayShare && first.abort == second.abort
            && first.abortShare == second.abortShare
    }
}

/// The faults that one request gets.
package struct FaultDecision: Sendable, Equatable {
    /// Nanoseconds until anything is done about it.
    package var delay: Int64?
    /// The answer that it gets then, in place of a task's.
    package var abort: FaultPolicy.Abort?

    package init(delay: Int64? = nil, abort: FaultPolicy.Abort? = nil) {
        self.delay = delay
        self.abort = abort
    }
}
