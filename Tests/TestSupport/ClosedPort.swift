package import Policy

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// An address that refuses every connect. Its port is held until the process ends: one that was merely closed may be
/// the next to be given to another test's task. Whoever names it may still listen on it (SO_REUSEADDR, which NIO's
/// servers set): a task that comes back.
package enum ClosedPort {
    struct NoSocket: Error {}

    package static func endpoint() throws -> Endpoint {
        #if canImport(Glibc)
        let stream = CInt(SOCK_STREAM.rawValue)
        #else
        let stream = SOCK_STREAM
        #endif
        let descriptor = socket(AF_INET, stream, 0)
        var yes: CInt = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<CInt>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        // Bound and never listening.
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard isBound else { throw NoSocket() }
        let port = Int(UInt16(bigEndian: address.sin_port))
        return Endpoint(address: EndpointAddress(host: "127.0.0.1", port: port))
    }
}
