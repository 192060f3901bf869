import HTTP2
import Policy

extension ErrorCode {
    /// What a gRPC library makes of a stream that was reset with this code (gRPC over HTTP/2, "Errors").
    var grpcStatus: GRPCStatus {
        switch self {
        case .refusedStream: .unavailable
        case .cancel: .cancelled
        case .enhanceYourCalm: .resourceExhausted
        case .inadequateSecurity: .permissionDenied
        default: .internal
        }
    }
}
