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
    /// The caller left, another attempt was quicker, or a limit of ours: says nothing.
    case abandoned
}
