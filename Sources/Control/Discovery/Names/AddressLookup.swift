import DNS

/// The A and the AAAA answer for a name, asked for side by side.
struct AddressLookup: Sendable {
    var ipv4: Result<DNSAnswer, DNSFailure>
    var ipv6: Result<DNSAnswer, DNSFailure>

    /// - Parameter patience: how long the slower family may take once the other has answered. A server that drops AAAA
    ///   must not hold back every A answer for all its tries.
    static func perform(
        _ name: DNSName, over transport: any DNSTransport, patience: Duration, clock: DiscoveryClock
    ) async -> AddressLookup {
        enum Event: Sendable {
            case answer(DNSRecordType, Result<DNSAnswer, DNSFailure>)
            case patienceOver
        }
        let givenUp = Result<DNSAnswer, DNSFailure>.failure(DNSFailure(.timeout, name: name.description))
        var lookup = AddressLookup(ipv4: givenUp, ipv6: givenUp)
        await withTaskGroup(of: Event.self) { group in
            for type in [DNSRecordType.a, .aaaa] {
                group.addTask { .answer(type, await transport.query(name: name, type: type, firstServer: 0).result) }
            }
            var missing = 2
            for await event in group {
                switch event {
                case .patienceOver:
                    group.cancelAll()
                case .answer(let type, let result):
                    missing -= 1
                    // Given up by the line above, not by the server and not by a shutdown: that is a timeout.
                    let wasGivenUp = group.isCancelled && !Task.isCancelled && result.isCancelled
                    if type == .a, !wasGivenUp { lookup.ipv4 = result }
                    if type == .aaaa, !wasGivenUp { lookup.ipv6 = result }
                    if missing == 0 {
                        group.cancelAll()
                    } else if case .success = result {
                        group.addTask {
                            try? await clock.sleep(patience)
                            return .patienceOver
                        }
                    }
                }
            }
        }
        return lookup
    }
}

extension Result<DNSAnswer, DNSFailure> {
    /// Whether this side gave the query up.
    var isCancelled: Bool {
        if case .failure(let failure) = self { failure.kind == .cancelled } else { false }
    }
}
