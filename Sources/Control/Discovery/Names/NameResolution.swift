import DNS

/// What a name stands for: all its answers so far, and how to ask for the next. A value; every rule about good and bad
/// answers is behind it.
protocol NameResolution: Sendable {
    associatedtype Answers: Lookup

    /// Sorted, without duplicates, ``Resolution/maximumAddresses`` at most.
    var endpoints: [DiscoveredEndpoint] { get }
    var coverage: Coverage { get }
    /// Of the last good answer, as the server gave it; nil while there was none.
    var ttl: Duration? { get }

    /// Asks everything that one look needs to know.
    func look(_ name: DNSName, by questioner: Questioner) async -> Answers

    /// Takes a look in.
    /// - Parameter now: ``DiscoveryClock`` time.
    mutating func record(_ answers: Answers, now: Duration) -> LookOutcome

    /// Forgets all records: it is certain that there are none.
    mutating func removeAll()

    /// Reads later answers by other rules.
    mutating func use(rules: AnswerRules, longestTTL: Duration)
}

/// The bound of what is kept for a name.
enum Resolution {
    /// Addresses, or records of another type, of one name; more would be an attack or a mistake.
    static let maximumAddresses = 1_024
}

/// What a look came to.
struct LookOutcome: Sendable {
    enum Verdict: Sendable {
        /// There are endpoints.
        case good
        /// The server said that there are none.
        case none(LookFailure)
        /// Nobody knows.
        case failed(LookFailure)
    }

    var verdict: Verdict
    /// What failed of a look that is good as a whole, and what was kept for it.
    var partialFailure: String?
    /// Whether the next look says nothing new before the TTL is over.
    var waitsForTTL = false
    /// Whether the set is another one than before, and not only better known.
    var hasChanged = false
    /// The answers and what they did to the set, in order.
    var events: [DiscoveryEvent] = []
}

/// Why a look gave no endpoint.
struct LookFailure: Sendable {
    /// `NXDOMAIN for users.local from 10.0.0.2:53`.
    var text: String
    /// How long the server said that there is none.
    var negativeTTL: Duration?

    init(_ text: String, negativeTTL: Duration? = nil) {
        self.text = text
        self.negativeTTL = negativeTTL
    }

    init(_ failure: DNSFailure) {
        self.init(failure.description, negativeTTL: failure.negativeTTL.map { .seconds(Int64($0)) })
    }
}
