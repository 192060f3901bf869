import DNS
import Policy

/// The addresses of a name: the union of its A answers and that of its AAAA answers.
struct AddressResolution: NameResolution {
    private(set) var ttl: Duration?
    private var ipv4: AnswerUnion<IPAddress>
    private var ipv6: AnswerUnion<IPAddress>
    private var family: AddressFamily

    init(rules: AnswerRules) {
        ipv4 = AnswerUnion(rules: rules)
        ipv6 = AnswerUnion(rules: rules)
        family = rules.family
    }

    /// Whether the last good answer named the address, by address.
    var addresses: [IPAddress: Bool] {
        ipv4.members.mapValues(\.isInLatest).merging(ipv6.members.mapValues(\.isInLatest)) { $0 || $1 }
    }

    var endpoints: [DiscoveredEndpoint] {
        addresses.sorted { $0.key < $1.key }.prefix(Resolution.maximumAddresses).map { address, isConfirmed in
            DiscoveredEndpoint(host: address.description, isConfirmed: isConfirmed)
        }
    }

    var coverage: Coverage { .sum(ipv4.coverage, ipv6.coverage) }

    func look(_ name: DNSName, by questioner: Questioner) async -> AddressLookup {
        await .perform(name, family: family, by: questioner)
    }

    mutating func removeAll() {
        _ = ipv4.removeAll()
        _ = ipv6.removeAll()
    }

    mutating func use(rules: AnswerRules, longestTTL: Duration) {
        family = rules.family
        ipv4.use(rules: rules)
        ipv6.use(rules: rules)
    }

    /// A look is good when one family has a usable address. Then a family that said "none" is emptied, but one that
    /// failed (silence, SERVFAIL) keeps its last good addresses: half an outage must not look like half a cluster. When
    /// neither has one, everything stays as it was.
    mutating func record(_ lookup: AddressLookup, now: Duration) -> LookOutcome {
        let families = (ipv4: FamilyOutcome(lookup.ipv4), ipv6: FamilyOutcome(lookup.ipv6))
        guard families.ipv4.isGood || families.ipv6.isGood else {
            let failure = LookFailure(Self.moreTelling(families.ipv4.failure, families.ipv6.failure))
            return LookOutcome(verdict: lookup.saysNone ? .none(failure) : .failed(failure))
        }
        let before = Set(addresses.keys)
        let wasComplete = coverage.isComplete
        var change = families.ipv4.apply(to: &ipv4, now: now)
        change.add(families.ipv6.apply(to: &ipv6, now: now))
        ttl = [families.ipv4.ttl, families.ipv6.ttl].compactMap(\.self).min().map { .seconds(Int64($0)) }

        let after = Set(addresses.keys)
        // An address may be in both unions: as itself, and mapped into IPv6.
        change.expired = change.expired.filter { !after.contains($0.key) }
        change.gone.subtract(after)
        var outcome = LookOutcome(verdict: .good)
        let failures = [
            families.ipv4.failureText(type: .a, keeping: ipv4.members.count),
            families.ipv6.failureText(type: .aaaa, keeping: ipv6.members.count),
        ].compactMap(\.self)
        outcome.partialFailure = failures.isEmpty ? nil : failures.joined(separator: "; ")
        outcome.hasChanged = !before.isSubset(of: after) || wasComplete && after != before
        let added = after.subtracting(before).sorted()
        outcome.events = [
            DiscoveryEvent(.answer, LookText.answer(change.answers, of: coverage, noun: .address))
        ]
        if !added.isEmpty { outcome.events.append(DiscoveryEvent(.added, LookText.list(added.map(\.description)))) }
        outcome.events += change.events(name: \.description, sortedBy: <)
        return outcome
    }

    /// Of two failures the one that explains more: "the name has no AAAA record" explains least.
    private static func moreTelling(_ first: DNSFailure?, _ second: DNSFailure?) -> DNSFailure {
        guard let first else { return second ?? DNSFailure(.cancelled, name: "") }
        return first.kind == .noData ? second ?? first : first
    }
}

/// What one family has come to.
private enum FamilyOutcome {
    case addresses(Set<IPAddress>, DNSAnswer)
    case failed(DNSFailure)
    case notAsked

    /// Leaves out the addresses that no task can have.
    init(_ result: Result<DNSAnswer, DNSFailure>?) {
        switch result {
        case .none:
            self = .notAsked
        case .failure(let failure):
            self = .failed(failure)
        case .success(let answer):
            let usable = Set(answer.addresses.map(\.unmapped).filter(\.isUsable))
            guard usable.isEmpty else {
                self = .addresses(usable, answer)
                return
            }
            let name = answer.records.first?.name.description ?? ""
            self = .failed(DNSFailure(.noUsableAddress, name: name, server: answer.server))
        }
    }

    var isGood: Bool {
        if case .addresses = self { true } else { false }
    }

    var ttl: UInt32? {
        if case .addresses(_, let answer) = self { answer.ttl } else { nil }
    }

    var failure: DNSFailure? {
        if case .failed(let failure) = self { failure } else { nil }
    }

    /// For a look in which the other family, if not this one, has addresses.
    func apply(to union: inout AnswerUnion<IPAddress>, now: Duration) -> RecordChange<IPAddress> {
        switch self {
        case .addresses(let addresses, let answer): union.take(addresses, of: answer, now: now)
        case .failed(let failure): failure.saysNone ? union.takeNone() : RecordChange()
        case .notAsked: union.takeNone()
        }
    }

    /// Silence about a family that never had an address is none worth telling: it would not end.
    func failureText(type: DNSRecordType, keeping count: Int) -> String? {
        guard let failure, count > 0 else { return nil }
        return "\(type): \(failure), keeping \(LookText.count(count, .address))"
    }
}
