import DNS

/// The SRV answer for a name, and the addresses of those of its targets that had to be asked for.
struct ServiceLookup: Sendable {
    var services: Result<DNSAnswer, DNSFailure>
    var targets: [DNSName: AddressLookup] = [:]
    /// Every server that was asked: for the records, then for each target.
    var attempts: [DNSAttempt] = []

    /// Targets asked for side by side; a name with hundreds of them must not be a burst of hundreds of packets.
    static let width = 8

    /// Asks for the addresses of `names` in their order, no more than ``width`` of them at a time.
    ///
    /// Silence has taken all tries at all servers. Then those that are not under way are left to the next look: with
    /// servers that are down, each handful would hold the answer back for that long again.
    static func addresses(
        of names: [DNSName], family: AddressFamily, by questioner: Questioner
    ) async -> [DNSName: AddressLookup] {
        await withTaskGroup(of: (DNSName, AddressLookup).self) { group in
            var waiting = names.makeIterator()
            func askNext() {
                guard let name = waiting.next() else { return }
                group.addTask { (name, await AddressLookup.perform(name, family: family, by: questioner)) }
            }
            for _ in 0..<width { askNext() }
            var lookups: [DNSName: AddressLookup] = [:]
            var isSilent = false
            for await (name, lookup) in group {
                lookups[name] = lookup
                if lookup.isSilence { isSilent = true }
                if !isSilent, !Task.isCancelled { askNext() }
            }
            return lookups
        }
    }
}

extension ServiceLookup: Lookup {
    var saysNoName: Bool { services.failure?.kind == .nameError }

    var isGood: Bool { services.failure == nil }

    /// A target whose question was given up has said nothing, and without it the look is none.
    var wasGivenUp: Bool {
        services.isCancelled || targets.values.contains(where: \.wasGivenUp)
    }
}
