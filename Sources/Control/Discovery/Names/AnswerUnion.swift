import DNS
import Policy

/// What one name's answers add up to, when an answer may hold some of the records only.
///
/// A whole answer replaces all that was known. A cut one is a sample of the records (``AnswerRules``): its members join
/// those that are known, and a known one that is missing stays until so many samples in a row were without it that luck
/// is no explanation any more (``AbsenceRule``). A value without clock or sockets.
struct AnswerUnion<Member: Hashable & Sendable>: Sendable {
    /// When a member was seen, and how often since it was not.
    struct Sighting: Sendable, Equatable {
        /// When an answer last named it, in ``DiscoveryClock`` time.
        var lastSeen: Duration
        /// Samples since then. After a new sample it is 0 for just those that the sample names.
        var misses: Int
        /// Whether the latest answer named it, be it a sample or a repetition from a cache.
        var isInLatest: Bool
    }

    /// Everything that is known, at most ``Resolution/maximumAddresses``.
    private(set) var members: [Member: Sighting] = [:]
    private var rules: AnswerRules
    private var samples = AnswerSamples<Member>()
    private var remembered = RememberedAnswers<Member>()
    /// Whether the latest answer was cut; nil while there was none.
    private var isTruncated: Bool?

    init(rules: AnswerRules) {
        self.rules = rules
    }

    /// How much of the whole is known; nil while there was no answer.
    var coverage: Coverage? {
        guard let isTruncated else { return nil }
        let known = members.count
        guard isTruncated else {
            return Coverage(known: known, isTruncated: false, estimated: Double(known), error: 0, samples: 1)
        }
        let window = samples.window
        let estimate = window.estimate
        return Coverage(
            known: known, isTruncated: true, estimated: estimate?.size, error: estimate?.standardError,
            samples: window.samples)
    }

    /// Takes other rules, from the next answer on.
    mutating func use(rules: AnswerRules) {
        self.rules = rules
    }

    /// Takes in that there is nothing any more, and forgets everything, as if there had been no answer.
    /// - Returns: what was known.
    mutating func removeAll() -> [Member] {
        let known = Array(members.keys)
        self = AnswerUnion(rules: rules)
        return known
    }

    /// Takes in a good answer. An empty one is none: nothing changes (``removeAll()``).
    /// - Parameters:
    ///   - recordCount: how many records the answer had, when that is more than its members.
    ///   - ttl: how long the server, if it has a cache, repeats this answer.
    ///   - now: ``DiscoveryClock`` time.
    mutating func record(
        _ answer: Set<Member>, recordCount: Int? = nil, from server: EndpointAddress, ttl: Duration, now: Duration
    ) -> AnswerEffect<Member> {
        var effect = AnswerEffect<Member>()
        guard !answer.isEmpty else { return effect }
        effect.isCut = isCut(recordCount: recordCount ?? answer.count)
        isTruncated = effect.isCut
        let answer = bounded(answer)
        effect.added = answer.filter { members[$0] == nil }
        guard effect.isCut else {
            effect.gone = members.keys.filter { !answer.contains($0) }
            let sighting = Sighting(lastSeen: now, misses: 0, isInLatest: true)
            members = Dictionary(uniqueKeysWithValues: answer.map { ($0, sighting) })
            samples = AnswerSamples()
            remembered = RememberedAnswers()
            return effect
        }

        let novelty = remembered.note(answer, from: server, ttl: ttl, now: now)
        effect.isNewSample = novelty != .cached
        if effect.isNewSample {
            samples.record(answer, isRepetition: novelty == .repetition, time: now)
        }
        unite(answer, countingMisses: effect.isNewSample, now: now)
        if effect.isNewSample {
            effect.expired = expire(now: now)
        }
        effect.expired += removeLongestUnseen()
        if effect.isNewSample {
            effect.missed = members.filter { !$0.value.isInLatest }.map(\.key)
        }
        return effect
    }

    private func isCut(recordCount: Int) -> Bool {
        switch rules.truncation {
        case .auto: recordCount == rules.truncatedAt
        case .never: false
        case .always: true
        }
    }

    private mutating func unite(_ answer: Set<Member>, countingMisses: Bool, now: Duration) {
        let sighting = Sighting(lastSeen: now, misses: 0, isInLatest: true)
        var index = members.startIndex
        while index != members.endIndex {
            if answer.contains(members.keys[index]) {
                members.values[index] = sighting
            } else {
                members.values[index].isInLatest = false
                if countingMisses { members.values[index].misses += 1 }
            }
            members.formIndex(after: &index)
        }
        for member in answer { members[member] = sighting }
    }

    private mutating func expire(now: Duration) -> [(member: Member, misses: Int)] {
        let window = samples.window
        guard let missesNeeded = window.missesNeeded else { return [] }
        let expired = members.filter { _, sighting in
            sighting.misses >= missesNeeded && now - sighting.lastSeen >= AbsenceRule.shortestAbsence
        }
        if window.restsOnRepetitions, Double(expired.count) > Double(members.count) * AbsenceRule.suddenShare {
            let isLongEnough = expired.values.allSatisfy { now - $0.lastSeen >= AbsenceRule.longestRepetition }
            guard isLongEnough else { return [] }
        }
        for member in expired.keys { members[member] = nil }
        return expired.map { ($0.key, $0.value.misses) }
    }

    // MARK: The bound

    /// So much of an answer as may be known, those first that are.
    private func bounded(_ answer: Set<Member>) -> Set<Member> {
        guard answer.count > Resolution.maximumAddresses else { return answer }
        let known = answer.filter { members[$0] != nil }
        let others = answer.lazy.filter { members[$0] == nil }
        return known.union(others.prefix(Resolution.maximumAddresses - known.count))
    }

    private mutating func removeLongestUnseen() -> [(member: Member, misses: Int)] {
        let excess = members.count - Resolution.maximumAddresses
        guard excess > 0 else { return [] }
        let longestUnseen = members.filter { !$0.value.isInLatest }
            .sorted { $0.value.lastSeen < $1.value.lastSeen }
            .prefix(excess)
        for (member, _) in longestUnseen { members[member] = nil }
        return longestUnseen.map { ($0.key, $0.value.misses) }
    }
}

/// What an answer changed, each list in no order.
struct AnswerEffect<Member: Hashable & Sendable>: Sendable {
    /// A sample and not the whole.
    var isCut = false
    /// False when a cache repeated itself, and for a whole answer, which is no sample.
    var isNewSample = false
    var added: [Member] = []
    /// Kept although the new sample does not name them: those whose misses went up.
    var missed: [Member] = []
    /// Left because too many samples were without them; or, beyond ``Resolution/maximumAddresses``, because they were
    /// not seen for longest.
    var expired: [(member: Member, misses: Int)] = []
    /// Left because a whole answer does not name them.
    var gone: [Member] = []

    init() {}
}
