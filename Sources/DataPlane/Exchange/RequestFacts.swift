import HTTP2
import Policy

/// What Ekiden reads out of a request's header block, and which blocks it does not pass on.
///
/// libnghttp2 refuses what RFC 9113, 8.2–8.3 calls malformed; the rest (RFC 9110 targets, `host` beside `:authority`,
/// doubled single-valued names) is checked here, because a task that bridges to HTTP/1.1 would be confused by it.
enum RequestFacts {
    enum Verdict {
        case serve
        case reply(Failure)
        case reset(ErrorCode)
    }

    static func check(_ request: HeaderBlock, limits: Limits) -> Verdict {
        if request.isTruncated {
            return .reply(
                Failure(
                    .requestHeadersTooLarge,
                    "request headers exceed \(limits.maxHeaderBytes) bytes or \(limits.maxHeaderFields) fields"))
        }
        guard let method = request.value(.method), isUpperCase(method) else { return .reset(.protocolError) }
        if equal(method, "CONNECT") {
            return .reply(Failure(.methodRefused, "CONNECT is not served here"))
        }
        guard let path = request.value(.path), isPlainPath(path), !request.hasDuplicate,
            let scheme = request.value(.scheme), equal(scheme, "http") || equal(scheme, "https")
        else {
            return .reset(.protocolError)
        }
        if let authority = request.value(.authority) {
            guard isPlainAuthority(authority) else { return .reset(.protocolError) }
            if let host = request.value(.host), !equalIgnoringCase(host, authority) { return .reset(.protocolError) }
        }
        return .serve
    }

    /// `application/grpc`, alone or before `+` or `;` (gRPC over HTTP/2, Requests).
    static func isGRPC(_ request: HeaderBlock) -> Bool {
        guard let type = request.value(.contentType) else { return false }
        let expected: StaticString = "application/grpc"
        let length = expected.utf8CodeUnitCount
        guard type.count >= length else { return false }
        for index in 0..<length where lowercased(type[index]) != expected.utf8Start[index] { return false }
        return type.count == length || type[length] == UInt8(ascii: "+") || type[length] == UInt8(ascii: ";")
    }

    static func isHead(_ request: HeaderBlock) -> Bool {
        request.value(.method).map { equal($0, "HEAD") } ?? false
    }

    /// A decimal number of at most nine digits.
    static func number(_ text: UnsafeBufferPointer<UInt8>) -> Int? {
        guard !text.isEmpty, text.count <= 9 else { return nil }
        var number = 0
        for byte in text {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            number = number * 10 + Int(byte - UInt8(ascii: "0"))
        }
        return number
    }

    private static func isUpperCase(_ method: UnsafeBufferPointer<UInt8>) -> Bool {
        !method.isEmpty && method.allSatisfy { $0 >= UInt8(ascii: "A") && $0 <= UInt8(ascii: "Z") || $0 == 0x2d }
    }

    /// Printable ASCII without what no path holds: a fragment, a backslash. `*` stands for the server (OPTIONS).
    private static func isPlainPath(_ path: UnsafeBufferPointer<UInt8>) -> Bool {
        for byte in path where byte <= 0x20 || byte >= 0x7f || byte == UInt8(ascii: "#") || byte == UInt8(ascii: "\\") {
            return false
        }
        return !path.isEmpty
    }

    /// Printable ASCII without user information. A comma passes: gRPC clients that are given several addresses put
    /// all of them here.
    private static func isPlainAuthority(_ authority: UnsafeBufferPointer<UInt8>) -> Bool {
        for byte in authority {
            switch byte {
            case ..<0x21, 0x7f..., UInt8(ascii: "@"), UInt8(ascii: "/"), UInt8(ascii: "\\"),
                UInt8(ascii: "?"), UInt8(ascii: "#"):
                return false
            default:
                continue
            }
        }
        return true
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 {
        byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
    }

    private static func equal(_ bytes: UnsafeBufferPointer<UInt8>, _ text: StaticString) -> Bool {
        guard bytes.count == text.utf8CodeUnitCount else { return false }
        for index in 0..<bytes.count where bytes[index] != text.utf8Start[index] { return false }
        return true
    }

    private static func equalIgnoringCase(
        _ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>
    ) -> Bool {
        guard left.count == right.count else { return false }
        for index in 0..<left.count where lowercased(left[index]) != lowercased(right[index]) { return false }
        return true
    }
}
