package import Policy

/// What the system's resolver is configured with, as c-ares reads it: `/etc/resolv.conf`, the environment
/// (`LOCALDOMAIN`, `RES_OPTIONS`), and without a search list the domain of the host's own name.
package struct SystemResolver: Hashable, Sendable {
    /// In the order of the file; 127.0.0.1:53 when it names none.
    package var servers: [EndpointAddress]
    package var searchList: SearchList

    package init(servers: [EndpointAddress], searchList: SearchList) {
        self.servers = servers
        self.searchList = searchList
    }

    /// - Parameter path: a file to read instead of `/etc/resolv.conf`. A missing file is an empty one.
    package static func read(path: String? = nil) throws(DNSSystemError) -> SystemResolver {
        do throws(AresError) {
            return try AresChannel.systemResolver(path: path)
        } catch {
            throw DNSSystemError(reason: error.description)
        }
    }
}

/// Why this side cannot ask: no memory, no descriptors, a configuration that cannot be read.
package struct DNSSystemError: Error, Hashable, Sendable, CustomStringConvertible {
    package let reason: String

    package var description: String { reason }
}
