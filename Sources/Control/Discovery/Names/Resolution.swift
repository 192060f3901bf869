package import DNS

/// What is known about a DNS name: the last good addresses and how the lookups have gone. A value without clock or
/// sockets; every rule about good and bad answers is here.
package struct Resolution: Sendable, Equatable {
    /// The last good answer, sorted, without duplicates.
    package private(set) var addresses: [IPAddress] = []
    /// Seconds that the last good answer gave, before clamping.
    package private(set) var ttl: UInt32?
    /// Set while the last lookup failed.
    package private(set) var failure: DNSFailure?
    /// The failure that was seen last, even if a good answer has come since.
    package private(set) var lastFailure: DNSFailure?
    /// When the last good answer came, in ``DiscoveryClock`` time.
    package private(set) var lastSuccess: Duration?
    /// Lookups that ended well and badly.
    package private(set) var answers = 0
    package private(set) var failures = 0
    private var failuresInRow = 0
    private var ipv4: [IPAddress] = []
    private var ipv6: [IPAddress] = []

    /// Addresses taken from one name; more would be an attack or a mistake.
    package static let maximumAddresses = 1_024
    /// The pause after the first failure in a row; it doubles up to ``longestPause``.
    package static let firstPause: Duration = .seconds(1)
    package static let longestPause: Duration = .seconds(30)

    package init() {}

    /// Whether a lookup has ended, well or badly.
    package var hasOutcome: Bool { answers + failures > 0 }

    /// Takes in a lookup.
    ///
    /// It is good when one family has a usable address. Then a family that said "none" is emptied, but one that failed
    /// (silence, SERVFAIL) keeps its last good addresses: half an outage must not look like half a cluster. When
    /// neither has one, everything stays as it was and the failure is noted.
    ///
    /// - Parameter now: ``DiscoveryClock`` time.
    mutating func record(_ lookup: AddressLookup, now: Duration) {
        let v4 = Self.usable(lookup.ipv4)
        let v6 = Self.usable(lookup.ipv6)
        guard v4.isSuccess || v6.isSuccess else {
            let reason = Self.moreTelling(v4.failure, v6.failure)
            failure = reason
            lastFailure = reason
            failures += 1
            failuresInRow += 1
            return
        }
        ipv4 = v4.replacement(for: ipv4)
        ipv6 = v6.replacement(for: ipv6)
        addresses = Array(Set(ipv4 + ipv6).sorted().prefix(Self.maximumAddresses))
        ttl = [lookup.ipv4, lookup.ipv6].compactMap { try? $0.get().ttl }.min()
        failure = nil
        lastSuccess = now
        answers += 1
        failuresInRow = 0
    }

    /// How long to wait before the next lookup: the TTL within its clamps, or the back-off while lookups fail; ±10 %,
    /// so that the proxies of a fleet do not ask in step.
    package func pause(
        clampedTo bounds: ClosedRange<Duration>, using random: inout some RandomNumberGenerator
    ) -> Duration {
        let base: Duration
        if failuresInRow > 0 {
            base = min(Self.firstPause * (1 << min(failuresInRow - 1, 16)), Self.longestPause)
        } else {
            base = min(max(.seconds(Int64(ttl ?? 0)), bounds.lowerBound), bounds.upperBound)
        }
        return base * Double.random(in: 0.9...1.1, using: &random)
    }

    /// One family's answer without the addresses that no task can have.
    private static func usable(_ result: Result<DNSAnswer, DNSFailure>) -> FamilyOutcome {
        switch result {
        case .failure(let failure):
            return .failed(failure)
        case .success(let answer):
            let usable = answer.addresses.map(\.unmapped).filter(\.isUsable)
            guard usable.isEmpty else { return .addresses(usable) }
            let name = answer.records.first?.name.description ?? ""
            return .failed(DNSFailure(.noUsableAddress, name: name, server: answer.server))
        }
    }

    private enum FamilyOutcome {
        case addresses([IPAddress])
        case failed(DNSFailure)

        var isSuccess: Bool { failure == nil }

        var failure: DNSFailure? {
            if case .failed(let failure) = self { failure } else { nil }
        }

        func replacement(for lastGood: [IPAddress]) -> [IPAddress] {
            switch self {
            case .addresses(let addresses): addresses
            case .failed(let failure): failure.kind == .noData || failure.kind == .nameError ? [] : lastGood
            }
        }
    }

    /// Of two failures the one that explains more: "the name has no AAAA record" explains least.
    private static func moreTelling(_ first: DNSFailure?, _ second: DNSFailure?) -> DNSFailure? {
        first?.kind == .noData ? second ?? first : first ?? second
    }
}
