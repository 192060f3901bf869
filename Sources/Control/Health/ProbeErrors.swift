import NIOCore
import NIOPosix
import Policy

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What an error of a socket says about the endpoint.
enum ProbeErrors {
    static func result(_ error: any Error) -> HealthResult {
        if let error = error as? IOError { return result(ofErrno: error.errnoCode) }
        if let error = error as? ChannelError, case .connectTimeout(let time) = error {
            return .failed("no connection within \(Duration.nanoseconds(time.nanoseconds).configurationText)")
        }
        if let error = error as? NIOConnectionError, let first = error.connectionErrors.first {
            return result(first.error)
        }
        return .failed("\(error)")
    }

    /// A host that has run out of something must not take the endpoints of a whole cluster for ill that are in use.
    private static func result(ofErrno code: CInt) -> HealthResult {
        switch code {
        case ECONNREFUSED: .failed("connection refused")
        case ECONNRESET, EPIPE: .failed("connection reset")
        case ETIMEDOUT: .failed("timed out")
        case EHOSTUNREACH: .failed("no route to host")
        case EADDRNOTAVAIL: .inconclusive("no local address or port left")
        case EMFILE, ENFILE: .inconclusive("out of file descriptors")
        case ENOBUFS, ENOMEM: .inconclusive("out of memory")
        case ENETUNREACH: .inconclusive("network unreachable")
        case EACCES, EPERM: .inconclusive("not permitted")
        default: .failed("errno \(code)")
        }
    }
}
