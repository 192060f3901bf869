#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What an errno of `connect` means to somebody who runs tasks.
enum ConnectErrors {
    static func text(_ code: CInt) -> String {
        switch code {
        case ECONNREFUSED: "connection refused"
        case ETIMEDOUT: "timed out"
        case EHOSTUNREACH: "no route to host"
        case ENETUNREACH: "network unreachable"
        case ECONNRESET: "connection reset"
        case EADDRNOTAVAIL: "no local address or port left"
        case EMFILE, ENFILE: "out of file descriptors"
        case EACCES, EPERM: "not permitted"
        default: "errno \(code)"
        }
    }
}
