import DNS

/// Keeps one DNS name resolved: asks, waits the TTL, asks again; one lookup at a time.
actor NameResolver {
    nonisolated let name: DNSName
    private let clock: DiscoveryClock
    private let refreshSignal = RefreshSignal()
    private let report: @Sendable (DNSName, Resolution) async -> Void
    private var transport: any DNSTransport
    private var settings: DNSSettings
    private var random: any RandomNumberGenerator & Sendable
    private var resolution = Resolution()

    /// Lookups asked for by ``refreshNow()`` start at least this long after the one before.
    static let minimumGap: Duration = .seconds(1)

    /// - Parameter report: called after each lookup.
    init(
        name: DNSName, transport: any DNSTransport, settings: DNSSettings, clock: DiscoveryClock,
        random: any RandomNumberGenerator & Sendable,
        report: @escaping @Sendable (DNSName, Resolution) async -> Void
    ) {
        self.name = name
        self.transport = transport
        self.settings = settings
        self.clock = clock
        self.random = random
        self.report = report
    }

    /// Asks for a lookup before its time: at once, or as soon as ``minimumGap`` allows. From any thread.
    nonisolated func refreshNow() {
        refreshSignal.request()
    }

    /// Takes new settings, and asks again with them.
    func use(transport: any DNSTransport, settings: DNSSettings) {
        self.transport = transport
        self.settings = settings
        refreshNow()
    }

    /// Runs until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            refreshSignal.clear()
            let started = clock.now()
            let transport = transport
            let lookup = await AddressLookup.perform(
                name, over: transport, patience: settings.timeout, clock: clock)
            if Task.isCancelled { return }
            // A transport that was closed under us (``use(transport:settings:)``) has said nothing about the name.
            if !(lookup.ipv4.isCancelled && lookup.ipv6.isCancelled) {
                resolution.record(lookup, now: clock.now())
                await report(name, resolution)
            }
            await pause(since: started)
        }
    }

    private func pause(since started: Duration) async {
        let bounds = settings.minTTL...max(settings.minTTL, settings.maxTTL)
        let pause = resolution.pause(clampedTo: bounds, using: &random)
        let next = clock.now() + pause
        guard await refreshSignal.wait(atMost: pause, clock: clock) else { return }
        let earliest = min(started + Self.minimumGap, next)
        let wait = earliest - clock.now()
        if wait > .zero { try? await clock.sleep(wait) }
    }
}
