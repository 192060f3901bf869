extension GRPCStatus {
    /// What a gRPC library makes of an HTTP response without a grpc-status
    /// (grpc.github.io/grpc/core/md_doc_http-grpc-status-mapping.html).
    package init(httpStatus: Int) {
        switch httpStatus {
        case 400: self = .internal
        case 401: self = .unauthenticated
        case 403: self = .permissionDenied
        case 404: self = .unimplemented
        case 429, 502, 503, 504: self = .unavailable
        default: self = .unknown
        }
    }
}
