package import DNS

/// Makes the sources of discovery URLs, all with one way to the name servers.
package struct SourceFactory: Sendable {
    private let settings: DNSSettings
    private let transport: any DNSTransport
    private let clock: DiscoveryClock
    private let search: SearchList

    package init(settings: DNSSettings, transport: any DNSTransport, clock: DiscoveryClock) {
        self.settings = settings
        self.transport = transport
        self.clock = clock
        search = Self.searchList(settings)
    }

    /// What is configured, and for the rest what the system has.
    private static func searchList(_ settings: DNSSettings) -> SearchList {
        if let domains = settings.search, let ndots = settings.ndots {
            return SearchList(domains: domains, ndots: ndots)
        }
        // A system without a readable configuration has no search domains either; asking will tell what is wrong.
        let system = (try? SystemResolver.read().searchList) ?? .none
        return SearchList(domains: settings.search ?? system.domains, ndots: settings.ndots ?? system.ndots)
    }

    /// A source that is ready to run; nil for one that has nothing to look at, as a fixed list.
    package func make(_ source: DiscoverySource, rules: AnswerRules) -> (any EndpointSource)? {
        SourceKey(source, rules: rules).map(make)
    }

    func make(_ key: SourceKey) -> any EndpointSource {
        switch key {
        case .file(let path, let emptyAfter):
            FileSource(path: path, emptyAfter: emptyAfter, clock: clock)
        case .addresses(let name, let isAbsolute, let rules):
            resolver(of: .addresses, name, isAbsolute, rules)
        case .services(let name, let isAbsolute, let rules):
            resolver(of: .services, name, isAbsolute, rules)
        }
    }

    /// Has a source that asks name servers ask by this factory's settings from now on.
    func update(_ source: any EndpointSource, _ key: SourceKey) async {
        guard let resolver = source as? NameResolver else { return }
        switch key {
        case .addresses(_, _, let rules), .services(_, _, let rules):
            await resolver.use(transport: transport, settings: settings, rules: rules, search: search)
        case .file:
            break
        }
    }

    private func resolver(
        of kind: DNSQuestionKind, _ name: DNSName, _ isAbsolute: Bool, _ rules: AnswerRules
    ) -> NameResolver {
        NameResolver(
            name: name, kind: kind, isAbsolute: isAbsolute, rules: rules, search: search,
            transport: transport, settings: settings, clock: clock, random: SystemRandomNumberGenerator())
    }
}
