/// Why an exchange could not be served, as a value: where the fact is known it is written down once, and everything
/// that follows (the caller's answer, the counter, the log line) is derived from it.
package struct Failure: Sendable, Equatable {
    package let kind: Kind
    /// One sentence for people: names the cluster and the cause, never a secret.
    package let message: String
    /// When the caller may come back (`grpc-retry-pushback-ms`, `retry-after`); nil says nothing about it.
    package let pushback: Duration?
    /// What a fault put in on purpose is to look like; otherwise the kind says it.
    package let fault: FaultPolicy.Abort?
    /// Which limit was reached, where the circuit is open.
    package let limit: CircuitLimit?

    package init(_ kind: Kind, _ message: String, pushback: Duration? = nil, fault: FaultPolicy.Abort? = nil) {
        self.init(kind, message, pushback, fault, nil)
    }

    private init(
        _ kind: Kind, _ message: String, _ pushback: Duration?, _ fault: FaultPolicy.Abort?, _ limit: CircuitLimit?
    ) {
        self.kind = kind
        self.message = message
        self.pushback = pushback
        self.fault = fault
        self.limit = limit
    }

    /// That a limit of the cluster was reached.
    package static func circuitOpen(_ limit: CircuitLimit, _ message: String, pushback: Duration? = nil) -> Failure {
        Failure(.circuitOpen, message, pushback, nil, limit)
    }

    /// The same, and when to come back where that was not said.
    package func comingBack(after pushback: @autoclosure () -> Duration) -> Failure {
        Failure(kind, message, self.pushback ?? pushback(), fault, limit)
    }

    package var grpcStatus: GRPCStatus { fault?.grpcStatus ?? kind.grpcStatus }
    package var httpStatus: Int { fault?.httpStatus ?? kind.httpStatus }

    /// The situations of the error table. Status codes are those of gRPC
    /// (grpc.github.io/grpc/core/md_doc_statuscodes.html) that a library may generate; Ekiden never makes up OK,
    /// INVALID_ARGUMENT, NOT_FOUND and the like (gRFC A54).
    package enum Kind: String, Sendable, CaseIterable {
        case noRoute
        case noEndpoint
        case connectFailure
        /// The connection to the task was lost; bytes of the request had been sent.
        case connectionLost
        case upstreamProtocolError
        case deadlineExceeded
        case circuitOpen
        case overload
        case rateLimited
        case requestTooLarge
        case requestHeadersTooLarge
        case responseHeadersTooLarge
        case methodRefused
        case draining
        /// Put in on purpose, by the route's rules.
        case faultInjected

        package var grpcStatus: GRPCStatus {
            switch self {
            case .noRoute, .methodRefused: .unimplemented
            case .deadlineExceeded: .deadlineExceeded
            case .rateLimited, .requestTooLarge, .requestHeadersTooLarge, .responseHeadersTooLarge: .resourceExhausted
            case .noEndpoint, .connectFailure, .connectionLost, .upstreamProtocolError, .circuitOpen, .overload,
                .draining, .faultInjected:
                .unavailable
            }
        }

        package var httpStatus: Int {
            switch self {
            case .noRoute: 404
            case .methodRefused: 405
            case .requestTooLarge: 413
            case .rateLimited: 429
            case .requestHeadersTooLarge: 431
            case .connectionLost, .upstreamProtocolError, .responseHeadersTooLarge: 502
            case .noEndpoint, .connectFailure, .circuitOpen, .overload, .draining, .faultInjected: 503
            case .deadlineExceeded: 504
            }
        }

        /// The response flag for logs and metrics, in the letters that Envoy's users grep for; `-` where it has none.
        package var flag: String {
            switch self {
            case .noRoute: "NR"
            case .noEndpoint: "UH"
            case .connectFailure: "UF"
            case .connectionLost: "UC"
            case .upstreamProtocolError: "UPE"
            case .deadlineExceeded: "UT"
            case .circuitOpen: "UO"
            case .overload: "OM"
            case .rateLimited: "RL"
            case .faultInjected: "FI"
            case .requestTooLarge, .requestHeadersTooLarge, .responseHeadersTooLarge, .methodRefused, .draining: "-"
            }
        }

        /// Machine-readable reason: `error` in the JSON body and `x-ekiden-reason` in the headers.
        package var reason: String {
            switch self {
            case .noRoute: "no_route"
            case .noEndpoint: "no_endpoint"
            case .connectFailure: "connect_failure"
            case .connectionLost: "connection_lost"
            case .upstreamProtocolError: "upstream_protocol_error"
            case .deadlineExceeded: "deadline_exceeded"
            case .circuitOpen: "circuit_open"
            case .overload: "overload"
            case .rateLimited: "rate_limited"
            case .requestTooLarge: "request_too_large"
            case .requestHeadersTooLarge: "request_headers_too_large"
            case .responseHeadersTooLarge: "response_headers_too_large"
            case .methodRefused: "method_refused"
            case .draining: "draining"
            case .faultInjected: "fault_injected"
            }
        }
    }
}

/// The status codes of gRPC.
package enum GRPCStatus: Int, Sendable, CaseIterable {
    case ok = 0
    case cancelled, unknown, invalidArgument, deadlineExceeded, notFound, alreadyExists, permissionDenied
    case resourceExhausted, failedPrecondition, aborted, outOfRange, unimplemented, `internal`, unavailable, dataLoss
    case unauthenticated

    /// The name as gRPC writes it: `DEADLINE_EXCEEDED`.
    package var name: String {
        switch self {
        case .ok: "OK"
        case .cancelled: "CANCELLED"
        case .unknown: "UNKNOWN"
        case .invalidArgument: "INVALID_ARGUMENT"
        case .deadlineExceeded: "DEADLINE_EXCEEDED"
        case .notFound: "NOT_FOUND"
        case .alreadyExists: "ALREADY_EXISTS"
        case .permissionDenied: "PERMISSION_DENIED"
        case .resourceExhausted: "RESOURCE_EXHAUSTED"
        case .failedPrecondition: "FAILED_PRECONDITION"
        case .aborted: "ABORTED"
        case .outOfRange: "OUT_OF_RANGE"
        case .unimplemented: "UNIMPLEMENTED"
        case .internal: "INTERNAL"
        case .unavailable: "UNAVAILABLE"
        case .dataLoss: "DATA_LOSS"
        case .unauthenticated: "UNAUTHENTICATED"
        }
    }
}
