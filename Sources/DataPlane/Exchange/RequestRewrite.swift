import HTTP2
import Policy

/// What changes in a request's header block between the caller and the task. Everything else travels untouched.
enum RequestRewrite {
    static func apply(to request: HeaderBlock, isGRPC: Bool, connection: DownstreamConnection) {
        // RFC 9110, 7.6.1: names that concern one hop. `te: trailers` stays: gRPC servers ask for it.
        request.remove(.hopByHop)
        // The scheme is that of the hop to the task; tasks see no TLS that ended at the caller's side.
        request.replace(.scheme, literal: "http")
        if request.contains(.authority) { request.remove(.host) }
        if isGRPC, !request.contains(.te) { request.append("te", literal: "trailers") }
        switch connection.settings.forwardedFor {
        case .keep: break
        case .remove: request.remove(.forwardedFor)
        case .replace:
            request.remove(.forwardedFor)
            appendCaller(to: request, connection)
        case .append:
            // Always a new last field: what a caller sent stays to the left of what is known.
            appendCaller(to: request, connection)
        }
        if connection.settings.via { request.append("via", literal: "2 ekiden") }
    }
    /// Callers on a Unix socket have no address.
    private static func appendCaller(to request: HeaderBlock, _ connection: DownstreamConnection) {
        guard !connection.peerAddress.isEmpty else { return }
        request.append("x-forwarded-for", connection.peerAddress.utf8)
    }
}
