import DNS

/// The questions of one look: whom they go to, and how long the slower half of an answer is waited for.
struct Questioner: Sendable {
    let transport: any DNSTransport
    /// How far the order of the name servers is turned.
    let firstServer: Int
    /// How long the slower family may take once the other has answered. A server that drops AAAA must not hold back
    /// every A answer for all its tries.
    let patience: Duration
    let clock: DiscoveryClock

    func ask(_ name: DNSName, _ type: DNSRecordType) async -> DNSReply {
        await transport.query(name: name, type: type, firstServer: firstServer)
    }

    /// Returns when the patience is over or the task was cancelled.
    func waitPatiently() async {
        try? await clock.sleep(patience)
    }
}

/// The answers of one look for one spelling of the name.
protocol Lookup: Sendable {
    var attempts: [DNSAttempt] { get set }
    /// NXDOMAIN: another spelling (a search domain) may do better.
    var saysNoName: Bool { get }
    /// Whether records came, so that this is the spelling.
    var isGood: Bool { get }
    /// Whether this side gave all questions up; then they say nothing about the name.
    var wasGivenUp: Bool { get }
}
