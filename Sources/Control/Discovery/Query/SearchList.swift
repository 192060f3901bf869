package import DNS

/// The domains that a short name may be meant in: `search` and `ndots` of `/etc/resolv.conf`.
package struct SearchList: Hashable, Sendable {
    /// In the order in which they are tried.
    package var domains: [DNSName]
    /// A name with this many dots is never searched for.
    package var ndots: Int

    /// Domains that are tried; a longer list would cost each failing name as many questions more.
    package static let maximumDomains = 6

    /// Every name stands for itself.
    package static let none = SearchList(domains: [], ndots: 1)

    package init(domains: [DNSName], ndots: Int) {
        self.domains = domains
        self.ndots = ndots
    }

    /// The names to ask for, in order: as written, then within each domain. A domain that would make the name too long
    /// is left out.
    ///
    /// The name as written comes first whatever its dots, unlike with the C library: a service that is found under its
    /// full name must not depend on what a search domain answers before.
    ///
    /// - Parameter isAbsolute: the configuration has a dot at the name's end, which `DNSName` does not keep.
    package func candidates(for name: DNSName, isAbsolute: Bool) -> [DNSName] {
        let dots = name.labelCount - 1
        guard !isAbsolute, dots < ndots else { return [name] }
        return [name] + domains.prefix(Self.maximumDomains).compactMap(name.appending)
    }
}
