import DNS

/// What is asked about a name.
enum DNSQuestionKind: Hashable, Sendable {
    /// A and AAAA: addresses without a port.
    case addresses
    /// SRV, and the addresses of the targets (RFC 2782): places with port, priority and weight.
    case services
}

/// Keeps one DNS name resolved: looks, reports, waits, looks again; one look at a time.
///
/// What answers mean is in ``NameResolution``, how looks have gone in ``LookHistory``, when to look in ``LookPace``:
/// values all three. Here are the questions and the waiting.
actor NameResolver: EndpointSource {
    nonisolated let name: DNSName
    nonisolated let kind: DNSQuestionKind
    private let clock: DiscoveryClock
    private let refreshSignal = RefreshSignal()
    private var transport: any DNSTransport
    private var settings: DNSSettings
    private var rules: AnswerRules
    private var random: any RandomNumberGenerator & Sendable
    private var search: NameSearch
    private var resolution: any NameResolution
    private var history = LookHistory()
    private var pace = LookPace()
    /// How long after the start of the last look a refresh may begin another.
    private var refreshGap = NameResolver.minimumGap
    /// A reload since the last look began. How that one failed is out of date then, and does not hold back the next.
    private let reloadSignal = RefreshSignal()

    /// Looks asked for by ``refreshNow()`` start at least this long after the one before; more after a failure.
    static let minimumGap: Duration = .seconds(1)

    /// - Parameters:
    ///   - isAbsolute: whether the name was written with a dot at its end, so that no search domain applies.
    ///   - settings: the clamps of the TTL, and the timeout as the patience with the slower address family.
    init(
        name: DNSName, kind: DNSQuestionKind, isAbsolute: Bool, rules: AnswerRules, search: SearchList,
        transport: any DNSTransport, settings: DNSSettings, clock: DiscoveryClock,
        random: any RandomNumberGenerator & Sendable
    ) {
        self.name = name
        self.kind = kind
        self.clock = clock
        self.transport = transport
        self.settings = settings
        self.rules = rules
        self.random = random
        self.search = NameSearch(name: name, isAbsolute: isAbsolute, list: search)
        switch kind {
        case .addresses: resolution = AddressResolution(rules: rules)
        case .services: resolution = ServiceResolution(rules: rules, longestTTL: settings.longestTTL)
        }
    }

    /// Asks for a look before its time: at once, or as soon as ``minimumGap`` and the back-off allow. From any
    /// thread.
    nonisolated func refreshNow() {
        refreshSignal.request()
    }

    /// Takes what a reload changed, and looks again with it. A look under way ends by the old rules.
    func use(transport: any DNSTransport, settings: DNSSettings, rules: AnswerRules, search: SearchList) {
        self.transport = transport
        self.settings = settings
        self.rules = rules
        self.search.use(search)
        reloadSignal.request()
        refreshNow()
    }

    /// Runs until the task is cancelled. To be called once.
    func run(report: @escaping @Sendable (SourceReport) async -> Void) async {
        while !Task.isCancelled {
            refreshSignal.clear()
            reloadSignal.clear()
            let started = clock.now()
            resolution.use(rules: rules, longestTTL: settings.longestTTL)
            let look = await look(with: resolution)
            if Task.isCancelled { return }
            var pause = Self.minimumGap
            refreshGap = Self.minimumGap
            // A transport that was closed under us (``use(transport:settings:rules:search:)``) has said nothing.
            if let look {
                pause = take(look)
                await report(history.report)
            }
            await wait(pause, since: started)
        }
    }

    // MARK: Looking

    private struct Look {
        var resolution: any NameResolution
        var outcome: LookOutcome
        var attempts: [DNSAttempt]
    }

    /// Asks for the name, and for the next of its full names while each does not exist.
    /// - Returns: nil when the questions were given up.
    private func look<Known: NameResolution>(with resolution: Known) async -> Look? {
        let questioner = Questioner(
            transport: transport, firstServer: pace.firstServer, patience: settings.timeout, clock: clock)
        var attempts: [DNSAttempt] = []
        var telling: Known.Answers?
        for candidate in search.candidates {
            let answers = await resolution.look(candidate, by: questioner)
            if answers.wasGivenUp { return nil }
            attempts += answers.attempts
            if answers.isGood { search.settle(on: candidate) }
            // When none of them exists, the name as it was written is the one to tell about.
            if telling == nil || !answers.saysNoName { telling = answers }
            if !answers.saysNoName { break }
        }
        guard let telling else { return nil }
        var resolution = resolution
        let outcome = resolution.record(telling, now: clock.now())
        return Look(resolution: resolution, outcome: outcome, attempts: attempts)
    }

    /// - Returns: how long to wait before the next look.
    private func take(_ look: Look) -> Duration {
        resolution = look.resolution
        history.record(
            look.outcome, of: name.description, resolution: &resolution, emptyAfter: rules.emptyAfter,
            attempts: look.attempts, now: clock.now())
        let condition: LookPace.Condition
        switch look.outcome.verdict {
        case .good:
            let coverage = resolution.coverage
            condition = .good(
                LookPace.Good(
                    ttl: resolution.ttl ?? .zero, waitsForTTL: look.outcome.waitsForTTL, isCut: coverage.isTruncated,
                    share: coverage.share, hasChanged: look.outcome.hasChanged))
        case .none(let failure), .failed(let failure):
            condition = .failing(looks: history.failuresInRow, negativeTTL: failure.negativeTTL)
        }
        let bounds = LookPace.Bounds(minTTL: settings.minTTL, maxTTL: settings.maxTTL)
        let pause = pace.pause(after: condition, within: bounds, using: &random)
        refreshGap = LookPace.refreshGap(after: condition, pause: pause, within: bounds)
        return pause
    }

    // MARK: Waiting

    private func wait(_ pause: Duration, since started: Duration) async {
        let next = clock.now() + pause
        guard await refreshSignal.wait(atMost: pause, clock: clock) else { return }
        if refreshGap > Self.minimumGap {
            let held = min(started + refreshGap, next) - clock.now()
            guard held > .zero, await reloadSignal.wait(atMost: held, clock: clock) else { return }
        }
        let earliest = min(started + Self.minimumGap, next)
        let wait = earliest - clock.now()
        if wait > .zero { try? await clock.sleep(wait) }
    }
}

extension DNSSettings {
    /// Nothing is believed for longer.
    fileprivate var longestTTL: Duration { max(minTTL, maxTTL) }
}
