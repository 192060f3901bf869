import Policy

/// Which `Host` a request may name.
///
/// A page in a browser on this machine can reach the admin port by a name of its own that resolves to 127.0.0.1 (DNS
/// rebinding) and read the answers. Such a request names that host; honest ones name an address or localhost.
enum HostGuard {
    case anyHost
    case addressOrLocalhost

    init(_ settings: AdminSettings) {
        // No browser speaks HTTP over a Unix socket.
        if case .unix = settings.listen {
            self = .anyHost
        } else {
            self = settings.allowRemote ? .anyHost : .addressOrLocalhost
        }
    }

    /// - Parameter authority: the value of `Host`; nil or empty when the request has none (HTTP/1.0).
    func admits(_ authority: String?) -> Bool {
        guard self == .addressOrLocalhost, let authority, !authority.isEmpty else { return true }
        guard let parts = try? HostAndPort(parsing: authority, ports: 0...65_535) else { return false }
        return parts.host.lowercased() == "localhost" || (try? parts.address()) != nil
    }
}
