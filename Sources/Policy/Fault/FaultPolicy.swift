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

        /// For callers of gRPC. An HTTP status is what gRPC's libraries take it for (gRPC, http-grpc-status-mapping).
        package var grpcStatus: GRPCStatus {
            switch self {
            case .grpc(let status): status
            case .http(400), .http(431): .internal
            case .http(401): .unauthenticated
            case .http(403): .permissionDenied
            case .http(404): .unimplemented
            case .http(429), .http(502), .http(503), .http(504): .unavailable
            case .http: .unknown
            }
        }

        /// For other callers.
        package var httpStatus: Int {
            switch self {
            case .http(let status): status
            case .grpc(.ok): 200
            case .grpc(.invalidArgument), .grpc(.failedPrecondition), .grpc(.outOfRange): 400
            case .grpc(.unauthenticated): 401
            case .grpc(.permissionDenied): 403
            case .grpc(.notFound): 404
            case .grpc(.alreadyExists), .grpc(.aborted): 409
            case .grpc(.resourceExhausted): 429
            case .grpc(.cancelled): 499
            case .grpc(.unimplemented): 501
            case .grpc(.unavailable): 503
            case .grpc(.deadlineExceeded): 504
            case .grpc: 500
            }
        }
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
