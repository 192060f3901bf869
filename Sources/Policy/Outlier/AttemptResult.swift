/// How an attempt ended, for whoever judges its endpoint.
package enum AttemptResult: Sendable, Equatable {
    /// A gRPC response that was complete, with its status.
    case grpc(Int)
    /// Another response that was complete, or was going on when the caller left, with its status.
    case http(Int)
    /// The task reset the stream.
    case reset
    /// The connection was lost under the stream, or the response was malformed.
    case lost
    case connectFailure
    /// The attempt's or the exchange's time passed before the response's head.
    case timedOut
    /// Refused by the rules of HTTP/2 (REFUSED_STREAM, GOAWAY): the task is full or leaves, which is no failure.
    case refused
    /// The caller left or did not finish its request, another attempt was quicker, or a limit of ours: says nothing.
    case abandoned

    /// Whether the call came out as it should, so that its latency is that of the work.
    package var isGood: Bool {
        switch self {
        case .grpc(let code): code == 0
        case .http(let status): status < 500
        case .reset, .lost, .connectFailure, .timedOut, .refused, .abandoned: false
        }
    }

    /// What a result says about the endpoint.
    package enum Verdict: Sendable, Equatable {
        /// The endpoint did its work; that includes telling a caller what the caller did wrong.
        case success
        case failure
        /// Nothing.
        case neutral
    }

    /// - Parameter settings: which statuses are failures. Read only where it depends on them, for they hold references
    ///   that all workers would count.
    package func verdict(under settings: @autoclosure () -> OutlierSettings) -> Verdict {
        switch self {
        case .refused, .abandoned: .neutral
        case .reset, .lost, .connectFailure, .timedOut: .failure
        case .grpc(0): .success
        case .grpc(let code):
            // A code that gRPC does not know means UNKNOWN (doc/statuscodes.md).
            settings().grpcStatuses.contains(GRPCStatus(rawValue: code) ?? .unknown) ? .failure : .success
        case .http(let status):
            // Below 400 nothing is a failure.
            status >= 400 && settings().httpStatuses.contains(status) ? .failure : .success
        }
    }
}
