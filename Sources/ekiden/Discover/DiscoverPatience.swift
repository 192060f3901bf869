import Control

/// How long `ekiden discover` asks on after an answer that was cut, and how it says so.
struct DiscoverPatience {
    let duration: Duration
    private let ttl: Duration

    private static let shortest: Duration = .seconds(5)
    private static let longest: Duration = .seconds(60)

    /// - Parameters:
    ///   - ttl: of the answer; a cache repeats it until then, so three of them bring about three more answers.
    ///   - chosen: by the user; nil takes what the TTL asks for, within bounds.
    init(ttl: Duration, chosen: Duration?) {
        self.ttl = ttl
        duration = chosen ?? min(max(Self.needed(ttl), Self.shortest), Self.longest)
    }

    private static func needed(_ ttl: Duration) -> Duration { ttl * 3 + .seconds(1) }

    /// `the answer was cut at 8 records; asking on for 31 s (--wait 0s stops at once)`.
    func start(_ rules: AnswerRules) -> String {
        let cut = rules.truncation == .auto ? "was cut at \(rules.truncatedAt) records" : "counts as cut"
        return "the answer \(cut); asking on for \(DiscoverWords.seconds(duration)) (--wait 0s stops at once)"
    }

    /// What is to be said when the patience is over; nil when there was time for other answers.
    var end: String? {
        guard ttl >= duration else { return nil }
        return "the TTL of \(DiscoverWords.seconds(ttl)) is not shorter than the wait of "
            + "\(DiscoverWords.seconds(duration)): a cache repeats its answer until then "
            + "(--wait \(Self.needed(ttl).components.seconds)s asks on)"
    }
}
