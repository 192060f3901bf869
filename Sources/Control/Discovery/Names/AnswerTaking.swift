import DNS
import Policy

/// An answer that went into a union.
struct TakenAnswer: Sendable, Equatable {
    /// Usable records.
    var count: Int
    var server: EndpointAddress
    /// Whether it was cut by its server.
    var isCut: Bool
    /// Whether it told something new, and not what a cache had told before.
    var isNewSample: Bool
}

/// What the answers of one look did to the records of a name.
struct RecordChange<Member: Hashable & Sendable>: Sendable {
    var answers: [TakenAnswer] = []
    /// Kept although the look did not name them, with the number of times in a row.
    var missed: [Member: Int] = [:]
    /// Left after so many misses.
    var expired: [Member: Int] = [:]
    /// Left because a complete answer did not name them.
    var gone: Set<Member> = []

    mutating func add(_ other: RecordChange) {
        answers += other.answers
        missed.merge(other.missed) { min($0, $1) }
        expired.merge(other.expired) { max($0, $1) }
        gone.formUnion(other.gone)
    }

    /// The events for records that were not named, the number of misses first.
    /// - Parameter name: how a record is told, in the order that `isBefore` gives.
    func events(
        name: (Member) -> String, sortedBy isBefore: (Member, Member) -> Bool
    ) -> [DiscoveryEvent] {
        func named(_ members: [Member: Int]) -> [(name: String, misses: Int)] {
            members.sorted { $0.value != $1.value ? $0.value > $1.value : isBefore($0.key, $1.key) }
                .map { (name($0.key), $0.value) }
        }
        var events: [DiscoveryEvent] = []
        if !missed.isEmpty { events.append(DiscoveryEvent(.missed, LookText.missed(named(missed)))) }
        events += LookText.expired(named(expired)).map { DiscoveryEvent(.expired, $0) }
        if !gone.isEmpty {
            let names = LookText.list(gone.sorted(by: isBefore).map(name))
            events.append(DiscoveryEvent(.expired, "\(names): not in a complete answer"))
        }
        return events
    }
}

extension AnswerUnion {
    /// Takes an answer in.
    /// - Parameter members: its usable records.
    mutating func take(_ members: Set<Member>, of answer: DNSAnswer, now: Duration) -> RecordChange<Member> {
        // Records that nobody can use were cut with the others.
        let effect = record(
            members, recordCount: Set(answer.records.map(\.data)).count, from: answer.server,
            ttl: .seconds(Int64(answer.ttl)), now: now)
        var change = RecordChange<Member>()
        change.answers = [
            TakenAnswer(
                count: members.count, server: answer.server, isCut: effect.isCut, isNewSample: effect.isNewSample)
        ]
        for member in effect.missed { change.missed[member] = self.members[member]?.misses ?? 1 }
        for (member, misses) in effect.expired { change.expired[member] = misses }
        change.gone = Set(effect.gone)
        return change
    }

    /// Takes in that there are none, while other records of the name were found.
    mutating func takeNone() -> RecordChange<Member> {
        var change = RecordChange<Member>()
        change.gone = Set(removeAll())
        return change
    }
}

extension Coverage {
    /// That of a set without members, known to have none.
    static let none = Coverage(known: 0, isTruncated: false, estimated: 0, error: 0, samples: 0)

    /// That of two sets together; nil for one that there is no answer about.
    static func sum(_ first: Coverage?, _ second: Coverage?) -> Coverage {
        guard let first, let second else { return first ?? second ?? .none }
        func sum(_ first: Double?, _ second: Double?) -> Double? {
            guard let first, let second else { return nil }
            return first + second
        }
        let variance = sum(first.error.map { $0 * $0 }, second.error.map { $0 * $0 })
        return Coverage(
            known: first.known + second.known, isTruncated: first.isTruncated || second.isTruncated,
            estimated: sum(first.estimated, second.estimated), error: variance?.squareRoot(),
            samples: first.samples + second.samples)
    }

    /// Whether hardly anything can be missing.
    var isComplete: Bool { share.map { $0 >= LookPace.completeShare } ?? false }
}
