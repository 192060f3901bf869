import NIOCore
import NIOPosix
import Policy

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What a failed `connect` means to somebody who runs tasks.
enum ConnectErrors {
    /// What NIO's error of a connect comes to: `connection refused`, `no answer within 1s`.
    static func text(_ error: any Error) -> String {
        if let error = error as? IOError {
            text(error.errnoCode)
        } else if let error = error as? ChannelError, case .connectTimeout(let time) = error {
            "no answer within \(Duration.nanoseconds(time.nanoseconds).configurationText)"
        } else if let error = error as? NIOConnectionError, let first = error.connectionErrors.first {
            text(first.error)
        } else {
            "\(error)"
        }
    }

    /// Whether the error says something about this host, and nothing about the task.
    static func isOurs(_ error: any Error) -> Bool {
        if let error = error as? NIOConnectionError, let first = error.connectionErrors.first {
            return isOurs(first.error)
        }
        guard let error = error as? IOError else { return false }
        return [EADDRNOTAVAIL, ENETUNREACH, EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES, EPERM].contains(error.errnoCode)
    }

    /// What an errno means.
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
