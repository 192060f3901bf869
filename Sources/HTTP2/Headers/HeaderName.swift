#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The header names that Ekiden looks at, found once while a block is decoded; all others are `.other`.
package enum HeaderName: UInt8, Sendable, CaseIterable {
    case other = 0
    case method, scheme, authority, path, status
    case contentType, contentLength, te, host, via, forwardedFor, forwarded
    case grpcStatus, grpcMessage, grpcTimeout, grpcEncoding, grpcRetryPushback, grpcPreviousAttempts
    /// Names that concern one hop only and are never passed on (RFC 9110, 7.6.1): `connection` and the like are
    /// refused by the library already, these are what is left.
    case hopByHop

    /// Number of names, for tables indexed by raw value.
    static let count = Int(HeaderName.hopByHop.rawValue) + 1

    /// The name behind these bytes. HTTP/2 names are in lower case; the library refuses others.
    static func classify(_ bytes: UnsafeBufferPointer<UInt8>) -> HeaderName {
        guard let start = bytes.baseAddress else { return .other }
        func isEqual(_ text: StaticString) -> Bool {
            memcmp(start, text.utf8Start, bytes.count) == 0
        }
        switch bytes.count {
        case 2: return isEqual("te") ? .te : .other
        case 3: return isEqual("via") ? .via : .other
        case 4: return isEqual("host") ? .host : .other
        case 5: return isEqual(":path") ? .path : .other
        case 7:
            if isEqual(":method") { return .method }
            if isEqual(":scheme") { return .scheme }
            if isEqual(":status") { return .status }
            return isEqual("upgrade") ? .hopByHop : .other
        case 9: return isEqual("forwarded") ? .forwarded : .other
        case 10:
            if isEqual(":authority") { return .authority }
            return isEqual("connection") || isEqual("keep-alive") ? .hopByHop : .other
        case 11: return isEqual("grpc-status") ? .grpcStatus : .other
        case 12:
            if isEqual("content-type") { return .contentType }
            if isEqual("grpc-timeout") { return .grpcTimeout }
            return isEqual("grpc-message") ? .grpcMessage : .other
        case 13: return isEqual("grpc-encoding") ? .grpcEncoding : .other
        case 14:
            if isEqual("content-length") { return .contentLength }
            return isEqual("http2-settings") ? .hopByHop : .other
        case 15: return isEqual("x-forwarded-for") ? .forwardedFor : .other
        case 16: return isEqual("proxy-connection") ? .hopByHop : .other
        case 17: return isEqual("transfer-encoding") ? .hopByHop : .other
        case 18: return isEqual("proxy-authenticate") ? .hopByHop : .other
        case 19: return isEqual("proxy-authorization") ? .hopByHop : .other
        case 22: return isEqual("grpc-retry-pushback-ms") ? .grpcRetryPushback : .other
        case 26: return isEqual("grpc-previous-rpc-attempts") ? .grpcPreviousAttempts : .other
        default: return .other
        }
    }
}
