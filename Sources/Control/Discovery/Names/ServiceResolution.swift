import DNS
import Policy

/// The services of a name (RFC 2782): the union of its SRV answers, and the addresses of each target.
struct ServiceResolution: NameResolution {
    typealias Service = DNSRecord.Service

    /// A target's addresses, and when they are to be asked for again.
    private struct Target: Sendable {
        var resolution: AddressResolution
        /// Nil while the last question failed: then each look asks again.
        var dueAt: Duration?
        var failure: String?
    }

    private(set) var ttl: Duration?
    private(set) var endpoints: [DiscoveredEndpoint] = []
    private var records: AnswerUnion<Service>
    private var targets: [DNSName: Target] = [:]
    private var rules: AnswerRules
    private var longestTTL: Duration

    /// Target names in a text.
    private static let failuresShown = 3

    /// - Parameter longestTTL: no target's addresses are believed for longer.
    init(rules: AnswerRules, longestTTL: Duration) {
        records = AnswerUnion(rules: rules)
        self.rules = rules
        self.longestTTL = longestTTL
    }

    /// Answers are samples of records, but endpoints are what is known: a record that nobody has seen is taken to have
    /// as many of them as the known ones have on average.
    var coverage: Coverage {
        guard var coverage = records.coverage, coverage.known > 0 else { return .none }
        let endpointsPerRecord = Double(endpoints.count) / Double(coverage.known)
        coverage.known = endpoints.count
        coverage.estimated = coverage.estimated.map { $0 * endpointsPerRecord }
        coverage.error = coverage.error.map { $0 * endpointsPerRecord }
        return coverage
    }

    mutating func removeAll() {
        _ = records.removeAll()
        targets.removeAll()
        endpoints.removeAll()
    }

    mutating func use(rules: AnswerRules, longestTTL: Duration) {
        if rules.family != self.rules.family {
            for name in targets.keys { targets[name]?.dueAt = nil }
        }
        self.rules = rules
        self.longestTTL = longestTTL
        records.use(rules: rules)
        for name in targets.keys { targets[name]?.resolution.use(rules: rules, longestTTL: longestTTL) }
    }

    func look(_ name: DNSName, by questioner: Questioner) async -> ServiceLookup {
        let reply = await questioner.ask(name, .srv)
        var lookup = ServiceLookup(services: reply.result, attempts: reply.attempts)
        guard case .success(let answer) = reply.result else { return lookup }
        let names = dueTargets(after: answer, now: questioner.clock.now())
        lookup.targets = await ServiceLookup.addresses(of: names, family: rules.family, by: questioner)
        for name in names { lookup.attempts += lookup.targets[name]?.attempts ?? [] }
        return lookup
    }

    /// The targets whose addresses are needed and not known, or no longer to be believed; those last that failed the
    /// last time.
    func dueTargets(after answer: DNSAnswer, now: Duration) -> [DNSName] {
        let services = Self.usable(answer)
        guard !services.isEmpty else { return [] }
        var next = records
        _ = next.take(services, of: answer, now: now)
        let names = Set(next.members.keys.map(\.target))
        return names.filter { (targets[$0]?.dueAt).map { $0 <= now } ?? true }
            .sorted { first, second in
                let hasFailed = (first: targets[first]?.failure != nil, second: targets[second]?.failure != nil)
                if hasFailed.first != hasFailed.second { return hasFailed.second }
                return first.wire.lexicographicallyPrecedes(second.wire)
            }
    }

    /// A look is good when an endpoint comes out of it. Otherwise everything stays as it was: records whose targets are
    /// all unknown are of no more use than none.
    mutating func record(_ lookup: ServiceLookup, now: Duration) -> LookOutcome {
        let answer: DNSAnswer
        switch lookup.services {
        case .success(let success):
            answer = success
        case .failure(let failure):
            return LookOutcome(
                verdict: failure.saysNone ? .none(LookFailure(failure)) : .failed(LookFailure(failure)))
        }
        let services = Self.usable(answer)
        guard !services.isEmpty else { return Self.unavailable(answer) }

        var next = self
        let change = next.records.take(services, of: answer, now: now)
        next.takeTargets(lookup.targets, now: now)
        next.endpoints = next.joinedEndpoints()
        guard !next.endpoints.isEmpty else {
            let text = next.targetFailures() ?? "no target of \(answer.nameText) has an address"
            return LookOutcome(verdict: .failed(LookFailure(text)))
        }
        let used = next.targets.values.compactMap(\.resolution.ttl)
        next.ttl = used.reduce(.seconds(Int64(answer.ttl))) { min($0, $1) }
        let previous = self
        self = next

        var outcome = LookOutcome(verdict: .good)
        outcome.partialFailure = targetFailures()
        outcome.waitsForTTL = true
        let (before, after) = (Set(previous.records.members.keys), Set(records.members.keys))
        outcome.hasChanged = !before.isSubset(of: after) || previous.coverage.isComplete && after != before
        outcome.events = events(of: change, since: previous)
        return outcome
    }

    // MARK: Targets

    private mutating func takeTargets(_ lookups: [DNSName: AddressLookup], now: Duration) {
        // A target is believed as long as its record stands.
        var targetRules = rules
        targetRules.emptyAfter = nil
        var standing: [DNSName: Target] = [:]
        for name in Set(records.members.keys.map(\.target)) {
            standing[name] = targets[name] ?? Target(resolution: AddressResolution(rules: targetRules))
        }
        targets = standing
        for (name, lookup) in lookups {
            guard var target = targets[name] else { continue }
            switch target.resolution.record(lookup, now: now).verdict {
            case .good:
                target.dueAt = now + min(target.resolution.ttl ?? .zero, longestTTL)
                target.failure = nil
            case .none(let failure), .failed(let failure):
                target.dueAt = nil
                target.failure = failure.text
            }
            targets[name] = target
        }
    }

    /// `NXDOMAIN for task-3.users.local from 10.0.0.2:53, no address yet`.
    private func targetFailures() -> String? {
        let failing = targets.filter { $0.value.failure != nil }
            .sorted { $0.key.wire.lexicographicallyPrecedes($1.key.wire) }
        guard !failing.isEmpty else { return nil }
        let texts = failing.prefix(Self.failuresShown).map { _, target in
            let kept = target.resolution.addresses.count
            let consequence = kept == 0 ? "no address yet" : "keeping \(LookText.count(kept, .address))"
            return "\(target.failure ?? ""), \(consequence)"
        }
        let more = failing.count - texts.count
        return texts.joined(separator: "; ") + (more > 0 ? "; and \(more) more targets" : "")
    }

    // MARK: Endpoints

    /// Where a service can be reached.
    private struct Place: Hashable {
        var address: IPAddress
        var port: UInt16

        var description: String { EndpointAddress(host: address.description, port: Int(port)).description }
    }

    /// Each record with each address of its target. Of two records for one place that of the lower priority number
    /// counts, since the other one is its stand-in; equals add their shares.
    private func joinedEndpoints() -> [DiscoveredEndpoint] {
        var joined: [Place: DiscoveredEndpoint] = [:]
        for (record, sighting) in records.members {
            for (address, isInLatest) in targets[record.target]?.resolution.addresses ?? [:] {
                let place = Place(address: address, port: record.port)
                let endpoint = DiscoveredEndpoint(
                    host: address.description, port: Int(record.port),
                    traits: EndpointTraits(weight: max(Int(record.weight), 1), priority: Int(record.priority)),
                    isConfirmed: sighting.isInLatest && isInLatest)
                guard var known = joined[place] else {
                    joined[place] = endpoint
                    continue
                }
                if known.traits.priority == endpoint.traits.priority {
                    known.traits.weight += endpoint.traits.weight
                } else if endpoint.traits.priority < known.traits.priority {
                    known.traits = endpoint.traits
                }
                known.isConfirmed = known.isConfirmed || endpoint.isConfirmed
                joined[place] = known
            }
        }
        return joined.sorted { ($0.key.address, $0.key.port) < ($1.key.address, $1.key.port) }
            .prefix(Resolution.maximumAddresses).map(\.value)
    }

    private func places(of record: Service) -> [Place] {
        (targets[record.target]?.resolution.addresses.keys.sorted() ?? []).map { Place(address: $0, port: record.port) }
    }

    // MARK: Answers

    /// Without the records that name no place: the root as target says that the service is not available.
    private static func usable(_ answer: DNSAnswer) -> Set<Service> {
        let usable = Set(answer.services.filter { $0.target != .root && $0.port > 0 })
        guard usable.count > Resolution.maximumAddresses else { return usable }
        return Set(usable.sorted(by: isBefore).prefix(Resolution.maximumAddresses))
    }

    private static func unavailable(_ answer: DNSAnswer) -> LookOutcome {
        if answer.services.contains(where: { $0.target == .root }) {
            return LookOutcome(
                verdict: .none(
                    LookFailure(
                        "\(answer.nameText) is not available, says the SRV record from \(answer.server)",
                        negativeTTL: .seconds(Int64(answer.ttl)))))
        }
        return LookOutcome(
            verdict: .failed(LookFailure("no usable SRV record for \(answer.nameText) from \(answer.server)")))
    }

    private static func isBefore(_ first: Service, _ second: Service) -> Bool {
        if first.target != second.target { return first.target.wire.lexicographicallyPrecedes(second.target.wire) }
        return (first.port, first.priority, first.weight) < (second.port, second.priority, second.weight)
    }

    private func events(of change: RecordChange<Service>, since previous: ServiceResolution) -> [DiscoveryEvent] {
        func places(_ resolution: ServiceResolution) -> Set<Place> {
            Set(resolution.records.members.keys.flatMap(resolution.places))
        }
        func list(_ places: Set<Place>) -> String {
            LookText.list(places.sorted { ($0.address, $0.port) < ($1.address, $1.port) }.map(\.description))
        }
        let (before, after) = (places(previous), places(self))
        var events = [
            DiscoveryEvent(.answer, LookText.answer(change.answers, of: records.coverage ?? .none, noun: .record))
        ]
        let added = after.subtracting(before)
        if !added.isEmpty { events.append(DiscoveryEvent(.added, list(added))) }
        events += change.events(
            name: { record in
                let places = previous.places(of: record)
                let addresses = places.isEmpty ? "" : " at \(LookText.list(places.map(\.address.description)))"
                return "\(record.target):\(record.port)\(addresses)"
            }, sortedBy: Self.isBefore)
        let explained = Set((change.gone.union(change.expired.keys)).flatMap(previous.places))
        let moved = before.subtracting(after).subtracting(explained)
        if !moved.isEmpty {
            events.append(DiscoveryEvent(.expired, "\(list(moved)): no longer an address of its target"))
        }
        return events
    }
}

extension DNSAnswer {
    fileprivate var nameText: String { records.first?.name.description ?? "the name" }
}
