/// Where one task listens: an IP literal and a port.
///
/// Two endpoints are the same task exactly when their addresses are equal. The host is kept in the canonical text form
/// that discovery produced (`10.0.0.3`, `fd00::3`; never a name).
package struct EndpointAddress: Hashable, Sendable, CustomStringConvertible {
    /// An IPv4 or IPv6 literal without brackets.
    package let host: String
    package let port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// `10.0.0.3:50051`, `[fd00::3]:50051`.
    package var description: String {
        host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
