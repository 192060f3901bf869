import DNS

/// The A and the AAAA answer for a name, asked for side by side.
struct AddressLookup: Sendable {
    /// Nil for a family that was not asked for.
    var ipv4: Result<DNSAnswer, DNSFailure>?
    var ipv6: Result<DNSAnswer, DNSFailure>?
    /// Every server that was asked, by type and then in order.
    var attempts: [DNSAttempt] = []

    static func perform(_ name: DNSName, family: AddressFamily, by questioner: Questioner) async -> AddressLookup {
        enum Event: Sendable {
            case reply(DNSRecordType, DNSReply)
            case patienceOver
        }
        let types = family.recordTypes
        let timeout = DNSFailure(.timeout, name: name.description)
        var replies: [DNSRecordType: DNSReply] = [:]
        await withTaskGroup(of: Event.self) { group in
            for type in types {
                group.addTask { .reply(type, await questioner.ask(name, type)) }
            }
            for await event in group {
                switch event {
                case .patienceOver:
                    group.cancelAll()
                case .reply(let type, let reply):
                    // Given up by the line above, not by the server and not by a shutdown: that is a timeout.
                    let wasGivenUp = group.isCancelled && !Task.isCancelled
                    replies[type] = reply
                    if wasGivenUp, reply.result.isCancelled { replies[type]?.result = .failure(timeout) }
                    if replies.count == types.count {
                        group.cancelAll()
                    } else if case .success = reply.result {
                        group.addTask {
                            await questioner.waitPatiently()
                            return .patienceOver
                        }
                    }
                }
            }
        }
        return AddressLookup(
            ipv4: replies[.a]?.result, ipv6: replies[.aaaa]?.result,
            attempts: types.flatMap { replies[$0]?.attempts ?? [] })
    }

    /// What speaks of the name itself. Servers that know nothing of AAAA say all kinds of things when asked for it
    /// (RFC 4074, 4), so the A question is heard where there is one.
    private var leading: Result<DNSAnswer, DNSFailure>? { ipv4 ?? ipv6 }

    private var hasAnswer: Bool { [ipv4, ipv6].compactMap(\.self).contains { $0.failure == nil } }

    /// Whether nobody answered in time.
    var isSilence: Bool { !hasAnswer && leading?.failure?.kind == .timeout }

    /// Whether the server said that the name has no addresses: NXDOMAIN, or NODATA for each family.
    var saysNone: Bool {
        guard !hasAnswer else { return false }
        return saysNoName || [ipv4, ipv6].compactMap(\.self).allSatisfy { $0.failure?.saysNone == true }
    }
}

extension AddressLookup: Lookup {
    var saysNoName: Bool { !hasAnswer && leading?.failure?.kind == .nameError }

    var isGood: Bool { hasAnswer }

    var wasGivenUp: Bool { [ipv4, ipv6].compactMap(\.self).allSatisfy { $0.isCancelled } }
}

extension AddressFamily {
    var recordTypes: [DNSRecordType] {
        switch self {
        case .both: [.a, .aaaa]
        case .ipv4: [.a]
        case .ipv6: [.aaaa]
        }
    }
}

extension Result where Failure == DNSFailure {
    var failure: DNSFailure? {
        if case .failure(let failure) = self { failure } else { nil }
    }

    /// Whether this side gave the query up.
    var isCancelled: Bool { failure?.kind == .cancelled }
}

extension DNSFailure {
    /// NXDOMAIN or NODATA.
    var saysNone: Bool { kind == .nameError || kind == .noData }
}
