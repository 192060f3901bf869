import Policy

/// Tells new samples from what caches repeat.
///
/// A cache gives the same set until its TTL is over, with a TTL that counts down; a repetition within that time is the
/// old sample. The time runs from the first sight, and repetitions do not extend it. A server may stand for several
/// caches that answer in turn, so more than one set is remembered for it.
struct RememberedAnswers<Member: Hashable & Sendable>: Sendable {
    enum Novelty: Sendable {
        case new
        /// A new sample, since the cache's time was over, but a set that this server showed in one of its last ones.
        case repetition
        /// Not a sample: a cache repeats itself.
        case cached
    }

    private struct Answer: Sendable {
        var server: EndpointAddress
        var members: Set<Member>
        /// When the TTL that came with the first sight is over.
        var end: Duration
    }

    /// Answers that are remembered, of all servers together.
    private static var answersMax: Int { 64 }

    /// Of one server's answers whose time is over, those that are remembered. More than one, since a server that
    /// stands for several stuck caches shows their sets in turn.
    private static var endedMax: Int { 4 }

    /// By the time of their first sight. Of those whose time is over only each server's latest few.
    private var answers: [Answer] = []

    /// - Parameter now: ``DiscoveryClock`` time.
    mutating func note(_ members: Set<Member>, from server: EndpointAddress, ttl: Duration, now: Duration) -> Novelty {
        let isCached = answers.contains { $0.end > now && $0.server == server && $0.members == members }
        if isCached { return .cached }
        let earlier = answers.firstIndex { $0.server == server && $0.members == members }
        if let earlier { answers.remove(at: earlier) }
        let ended = answers.indices.filter { answers[$0].end <= now && answers[$0].server == server }
        for index in ended.dropLast(Self.endedMax).reversed() { answers.remove(at: index) }
        if answers.count >= Self.answersMax { answers.remove(at: answers.firstIndex { $0.end <= now } ?? 0) }
        answers.append(Answer(server: server, members: members, end: now + ttl))
        return earlier == nil ? .new : .repetition
    }
}
