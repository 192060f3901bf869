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

    package static func == (first: FaultPolicy, second: FaultPolicy) -> Bool {
        first.header?.name == second.header?.name && first.header?.value == second.header?.value
            && first.delay == second.delay && first.delayShare == second.delayShare && first.abort == second.abort
            && first.abortShare == second.abortShare
    }
}
