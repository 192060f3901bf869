import DNS
import Policy
import Testing

@testable import Control

@Suite("What cut answers add up to")
struct AnswerUnionTests {
    private let server = EndpointAddress(host: "127.0.0.1", port: 53)
    private let other = EndpointAddress(host: "127.0.0.2", port: 53)

    /// Takes in an answer of its own, each ten seconds after the one before.
    private func record(_ answer: some Sequence<Int>, at tick: Int, in union: inout AnswerUnion<Int>) -> AnswerEffect<
        Int
    > {
        union.record(Set(answer), from: server, ttl: .seconds(10), now: .seconds(10 * tick))
    }

    // MARK: Whole and cut

    @Test("a whole answer replaces what is known, at once")
    func whole() {
        var union = AnswerUnion<Int>(rules: AnswerRules())
        #expect(union.coverage == nil)
        let first = record(1...3, at: 0, in: &union)
        #expect(Set(first.added) == [1, 2, 3])
        #expect(!first.isCut && !first.isNewSample)
        let second = record(2...5, at: 1, in: &union)
        #expect(Set(second.added) == [4, 5])
        #expect(second.gone == [1])
        #expect(second.expired.isEmpty && second.missed.isEmpty)
        #expect(Set(union.members.keys) == [2, 3, 4, 5])
        #expect(union.members[2] == AnswerUnion.Sighting(lastSeen: .seconds(10), misses: 0, isInLatest: true))
        #expect(union.coverage == Coverage(known: 4, isTruncated: false, estimated: 4, error: 0, samples: 1))
    }

    @Test("a cut answer joins what is known, and says what it misses")
    func cut() {
        var union = AnswerUnion<Int>(rules: AnswerRules())
        let first = record(1...8, at: 0, in: &union)
        #expect(first.isCut && first.isNewSample)
        #expect(union.coverage == Coverage(known: 8, isTruncated: true, estimated: nil, error: nil, samples: 1))
        let second = record(5...12, at: 1, in: &union)
        #expect(Set(second.added) == Set(9...12))
        #expect(Set(second.missed) == Set(1...4))
        #expect(second.gone.isEmpty && second.expired.isEmpty)
        #expect(union.members[1] == AnswerUnion.Sighting(lastSeen: .zero, misses: 1, isInLatest: false))
        #expect(union.members[5] == AnswerUnion.Sighting(lastSeen: .seconds(10), misses: 0, isInLatest: true))
        // 8 · 8 / 4
        #expect(union.coverage?.known == 12)
        #expect(abs((union.coverage?.estimated ?? 0) - 16) < 1e-6)
        #expect((union.coverage?.error ?? 0) > 1)
        #expect(union.coverage?.samples == 2)
    }

    @Test(
        "an answer is cut when the rules say so",
        arguments: [
            (TruncationMode.auto, 7, false), (.auto, 8, true), (.auto, 9, false), (.never, 8, false),
            (.always, 1, true), (.always, 8, true), (.always, 9, true),
        ])
    func rules(truncation: TruncationMode, count: Int, isCut: Bool) {
        var rules = AnswerRules()
        rules.truncation = truncation
        var union = AnswerUnion<Int>(rules: rules)
        #expect(record(0..<count, at: 0, in: &union).isCut == isCut)
        #expect(union.coverage?.isTruncated == isCut)
    }

    @Test("a reload counts from the next answer on")
    func reload() {
        var union = AnswerUnion<Int>(rules: AnswerRules())
        _ = record(1...8, at: 0, in: &union)
        var rules = AnswerRules()
        rules.truncatedAt = 10
        union.use(rules: rules)
        #expect(union.coverage?.isTruncated == true)
        #expect(Set(record(8...15, at: 1, in: &union).gone) == Set(1...7))
        #expect(record(20...29, at: 2, in: &union).isCut)
        #expect(union.members.count == 18)
    }

    @Test("from 20 tasks to 6 is one step, since six are the whole; then samples count anew")
    func scaleIn() {
        var union = AnswerUnion<Int>(rules: AnswerRules())
        var draw = Draw(seed: 1)
        for tick in 0..<40 { _ = record(draw.sample(8, of: Array(0..<20)), at: tick, in: &union) }
        #expect(union.members.count == 20)
        #expect(record(0..<6, at: 40, in: &union).gone.count == 14)
        #expect(Set(union.members.keys) == Set(0..<6))
        _ = record(0..<8, at: 41, in: &union)
        #expect(union.coverage?.samples == 1)
    }

    @Test("of exactly eight tasks one is replaced: the old one leaves after nine answers")
    func replaced() {
        var union = AnswerUnion<Int>(rules: AnswerRules())
        for tick in 0..<20 { _ = record(0..<8, at: tick, in: &union) }
        #expect(union.coverage == Coverage(known: 8, isTruncated: true, estimated: 8, error: 0, samples: 9))
        for tick in 20..<28 {
            #expect(record(1...8, at: tick, in: &union).missed == [0])
        }
        let last = record(1...8, at: 28, in: &union)
        #expect(last.expired.map(\.member) == [0])
        #expect(last.expired.map(\.misses) == [9])
        #expect(last.missed.isEmpty)
        #expect(union.coverage?.estimated == 8)
    }

    @Test("no absence counts before it lasts thirty seconds, however many answers there are")
    func shortestAbsence() {
        var union = AnswerUnion<Int>(rules: AnswerRules())
        _ = union.record(Set(0..<8), from: server, ttl: .zero, now: .zero)
        for tick in 1...300 {
            let now = Duration.milliseconds(100 * tick)
            #expect(union.record(Set(1...8), from: server, ttl: .zero, now: now).expired.isEmpty)
        }
        let last = union.record(Set(1...8), from: server, ttl: .zero, now: .milliseconds(30_100))
        #expect(last.expired.map(\.member) == [0])
    }

    // MARK: Caches

    @Test("what a cache repeats until its TTL is over is no sample; a TTL that counts down adds nothing to it")
    func cache() {
        var union = AnswerUnion<Int>(rules: AnswerRules())
        _ = union.record(Set(0..<8), from: server, ttl: .seconds(10), now: .zero)
        _ = union.record(Set(4..<12), from: server, ttl: .seconds(10), now: .seconds(1))
        for second in 2..<10 {
            let now = Duration.seconds(second)
            let effect = union.record(Set(0..<8), from: server, ttl: .seconds(10) - now, now: now)
            #expect(effect.isCut && !effect.isNewSample)
            #expect(effect.missed.isEmpty && effect.added.isEmpty && effect.expired.isEmpty)
            #expect(union.members[0] == AnswerUnion.Sighting(lastSeen: now, misses: 0, isInLatest: true))
            #expect(union.members[11] == AnswerUnion.Sighting(lastSeen: .seconds(1), misses: 0, isInLatest: false))
            #expect(union.coverage?.samples == 2)
        }
        let effect = union.record(Set(0..<8), from: server, ttl: .seconds(10), now: .seconds(10))
        #expect(effect.isNewSample)
        #expect(Set(effect.missed) == Set(8..<12))
    }

    @Test("each server has a cache of its own")
    func caches() {
        var union = AnswerUnion<Int>(rules: AnswerRules())
        var samples = 0
        for second in 0..<10 {
            let now = Duration.seconds(second)
            for (server, answer) in [(server, 0..<8), (other, 4..<12)] {
                let effect = union.record(Set(answer), from: server, ttl: .seconds(10) - now, now: now)
                samples += effect.isNewSample ? 1 : 0
            }
        }
        #expect(samples == 2)
        #expect(union.coverage?.samples == 2)
        #expect(union.members[0]?.misses == 0)
        #expect(union.record(Set(0..<8), from: other, ttl: .seconds(10), now: .seconds(9)).isNewSample)
    }

    // MARK: Bounds and ends

    @Test("at most 1,024 are known: the latest answer, and of the others those seen last")
    func bound() {
        var union = AnswerUnion<Int>(rules: AnswerRules())
        for tick in 0..<128 { _ = record(8 * tick..<8 * tick + 8, at: tick, in: &union) }
        #expect(union.members.count == 1_024)
        let effect = record(2_000..<2_008, at: 128, in: &union)
        #expect(Set(effect.expired.map(\.member)) == Set(0..<8))
        #expect(union.members.count == 1_024)

        let whole = record(1_000..<3_000, at: 129, in: &union)
        #expect(!whole.isCut)
        #expect(union.members.count == 1_024)
        #expect(Set(1_000..<1_024).isSubset(of: union.members.keys))
    }

    @Test("what is confirmed to be empty is forgotten; an empty answer alone is none")
    func empty() {
        var union = AnswerUnion<Int>(rules: AnswerRules())
        _ = record(1...8, at: 0, in: &union)
        #expect(record([], at: 1, in: &union).gone.isEmpty)
        #expect(union.members.count == 8)
        #expect(Set(union.removeAll()) == Set(1...8))
        #expect(union.members.isEmpty)
        #expect(union.coverage == nil)
        #expect(record(1...8, at: 1, in: &union).isNewSample)
    }

    @Test("whatever is answered, these are true", arguments: 0..<20 as Range<UInt64>)
    func invariants(seed: UInt64) {
        var draw = Draw(seed: seed)
        var rules = AnswerRules()
        rules.truncation = seed % 4 == 0 ? .always : .auto
        var union = AnswerUnion<Int>(rules: rules)
        var now = Duration.zero
        for _ in 0..<300 {
            now += .milliseconds(draw.number(in: 0..<12_000))
            let pool = Array(0..<draw.number(in: 9..<40))
            let count = draw.number(in: 0..<20) == 0 ? draw.number(in: 1..<12) : 8
            let answer = draw.sample(count, of: pool)
            let known = Set(union.members.keys)
            let effect = union.record(
                answer, from: draw.number(in: 0..<2) == 0 ? server : other,
                ttl: .seconds(draw.number(in: 0..<6)), now: now)
            let members = union.members
            let left = effect.expired.map(\.member) + effect.gone

            #expect(answer.isSubset(of: members.keys))
            #expect(Set(effect.added) == answer.subtracting(known))
            #expect(Set(members.keys) == known.union(answer).subtracting(left))
            #expect(answer.isDisjoint(with: left) && answer.isDisjoint(with: effect.missed))
            #expect(Set(members.filter(\.value.isInLatest).keys) == answer)
            #expect(members.allSatisfy { !$0.value.isInLatest || $0.value.misses == 0 && $0.value.lastSeen == now })
            #expect(members.allSatisfy { !effect.isNewSample || ($0.value.misses == 0) == $0.value.isInLatest })
            #expect(effect.missed.count == (effect.isNewSample ? members.count - answer.count : 0))
            #expect(effect.isCut || members.count == answer.count)
            #expect(effect.isNewSample || effect.expired.isEmpty)
            #expect(effect.expired.allSatisfy { $0.misses > 0 })
            #expect(union.coverage?.known == members.count)
            #expect(union.coverage?.isTruncated == effect.isCut)
        }
    }
}
