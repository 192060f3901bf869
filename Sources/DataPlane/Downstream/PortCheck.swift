import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Whether anybody listens on a port already.
///
/// Sockets with `SO_REUSEPORT` join those of another process without a word, and callers would be split between two
/// meshes. A socket without it is refused while anybody else listens. It is bound and never listens itself: whoever
/// connected to it in that moment would wait for ever.
enum PortCheck {
    /// - Throws: `IOError` when the port is taken, or the address is none of this host's.
    static func expectFree(host: String, port: Int) throws {
        let address = try SocketAddress(ipAddress: host, port: port)
        #if canImport(Glibc)
        let stream = CInt(SOCK_STREAM.rawValue)
        #else
        let stream = SOCK_STREAM
        #endif
        let descriptor = socket(address.protocol == .inet6 ? AF_INET6 : AF_INET, stream, 0)
        guard descriptor >= 0 else { throw IOError(errnoCode: errno, reason: "socket") }
        defer { close(descriptor) }
        // Connections of a process that has just ended do not count.
        var yes: CInt = 1
        let length = socklen_t(MemoryLayout<CInt>.size)
        guard setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, length) == 0 else {
            throw IOError(errnoCode: errno, reason: "setsockopt")
        }
        // Like those of NIO, which take IPv4 along.
        var no: CInt = 0
        if address.protocol == .inet6 { setsockopt(descriptor, CInt(IPPROTO_IPV6), IPV6_V6ONLY, &no, length) }
        let result = address.withSockAddr { bind(descriptor, $0, socklen_t($1)) }
        guard result == 0 else { throw IOError(errnoCode: errno, reason: "bind") }
    }
}
