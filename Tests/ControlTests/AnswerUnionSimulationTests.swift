import Policy
import Testing

@testable import Control

@Suite("Cut answers over time, simulated")
struct AnswerUnionSimulationTests {
    /// A name whose answers hold eight tasks, drawn at random.
    private struct Name {
        var tasks: [Int]
        var ttl: Duration
        private(set) var union = AnswerUnion<Int>(rules: AnswerRules())
        private(set) var now = Duration.zero
        private(set) var answers = 0
        private var draw: Draw
        private let server = EndpointAddress(host: "127.0.0.1", port: 53)

        init(tasks: Int, ttl: Duration = .seconds(10), seed: UInt64 = 1) {
            self.tasks = Array(0..<tasks)
            self.ttl = ttl
            draw = Draw(seed: seed)
        }

        /// Asks when the TTL is over.
        /// - Returns: those that expired.
        mutating func ask(answer: Set<Int>? = nil) -> [Int] {
            now += ttl
            answers += 1
            let answer = answer ?? draw.sample(8, of: tasks)
            return union.record(answer, from: server, ttl: ttl, now: now).expired.map(\.member)
        }

        mutating func ask(times: Int) -> [Int] {
            (0..<times).flatMap { _ in ask() }
        }
    }

    @Test(
        "twenty tasks, TTL one second, two hundred answers: all are found, none expires",
        arguments: 1...5 as ClosedRange<UInt64>)
    func twenty(seed: UInt64) throws {
        var name = Name(tasks: 20, ttl: .seconds(1), seed: seed)
        #expect(name.ask(times: 200) == [])
        #expect(name.union.members.count == 20)
        let coverage = try #require(name.union.coverage)
        #expect(abs((coverage.estimated ?? 0) - 20) < 0.01)
        #expect((coverage.error ?? 1) < 0.01)
        #expect((coverage.share ?? 0) > 0.99)
    }

    @Test("living tasks do not expire", arguments: [(9, 3_000), (12, 3_000), (20, 3_000), (40, 2_000), (400, 2_000)])
    func falseExpiry(tasks: Int, answers: Int) {
        var name = Name(tasks: tasks)
        #expect(name.ask(times: answers) == [])
        #expect(name.union.members.count == tasks)
    }

    @Test(
        "a set that shrinks is clean after about as many answers as the new size needs",
        arguments: [
            (from: 20, to: 12, answers: 17...20), (from: 100, to: 10, answers: 13...20),
            (from: 40, to: 20, answers: 31...35), (from: 20, to: 8, answers: 60...60),
        ], 1...5 as ClosedRange<UInt64>)
    func shrinks(change: (from: Int, to: Int, answers: ClosedRange<Int>), seed: UInt64) throws {
        var name = Name(tasks: change.from, seed: seed)
        _ = name.ask(times: 200)
        let before = name.union.members.count
        #expect(before == change.from)
        name.tasks = Array(0..<change.to)
        let start = name.answers
        var expired: [Int] = []
        while expired.count < change.from - change.to, name.answers - start < 400 { expired += name.ask() }
        #expect(Set(expired) == Set(change.to..<change.from))
        // Counted until the last of them left; a sample that repeats an earlier one by chance adds one.
        // Down to just an answer's size it takes ten minutes.
        #expect(change.answers.contains(name.answers - start), "\(name.answers - start)")
        let estimate = try #require(name.union.coverage?.estimated)
        #expect(abs(estimate - Double(change.to)) < 0.5)
    }

    @Test("a set that grows at once from 12 to 100 loses nobody on the way", arguments: 1...10 as ClosedRange<UInt64>)
    func grows(seed: UInt64) {
        var name = Name(tasks: 12, seed: seed)
        _ = name.ask(times: 50)
        name.tasks = Array(0..<100)
        #expect(name.ask(times: 300) == [])
        #expect(name.union.members.count == 100)
    }

    @Test("one of a set larger than the samples remember expires too, later")
    func large() {
        var name = Name(tasks: 400)
        _ = name.ask(times: 1_500)
        name.tasks.removeLast()
        let start = name.answers
        var expired: [Int] = []
        while expired.isEmpty, name.answers - start < 1_500 { expired = name.ask() }
        #expect(expired == [399])
        let needed = AbsenceRule.misses(size: 399, sampleSize: 8)
        #expect(needed > SampleWindow.samplesMax)
        #expect((needed - 100...needed + 50).contains(name.answers - start), "\(name.answers - start)")
    }

    @Test(
        "a server that is stuck for 25 seconds expires nobody, neither then nor after",
        arguments: 1...40 as ClosedRange<UInt64>)
    func stuck(seed: UInt64) {
        var name = Name(tasks: 20, ttl: .seconds(1), seed: seed)
        #expect(name.ask(times: 100) == [])
        let stale = Set(name.union.members.filter(\.value.isInLatest).keys)
        for _ in 0..<25 { #expect(name.ask(answer: stale) == []) }
        #expect(name.ask(times: 100) == [])
        #expect(name.union.members.count == 20)
    }

    @Test(
        "a resolver that serves one stale answer for less than ten minutes expires nobody; longer, it is believed",
        arguments: [1, 10, 30], 1...5 as ClosedRange<UInt64>)
    func stale(ttl: Int, seed: UInt64) {
        var name = Name(tasks: 20, ttl: .seconds(ttl), seed: seed)
        #expect(name.ask(times: 200) == [])
        let stale = Set(name.union.members.filter(\.value.isInLatest).keys)
        // The stale answer is the latest good one; the others were last seen before it.
        let start = name.now - name.ttl
        while name.now - start + name.ttl < .seconds(600) { #expect(name.ask(answer: stale) == []) }
        #expect(name.union.members.count == 20)
        #expect(name.ask(answer: stale).count == 12)
        #expect(Set(name.union.members.keys) == stale)
    }

    @Test(
        "caches behind one address that answer in turn, with a TTL far shorter than they keep it, expire nobody",
        arguments: [1, 2, 4], 1...5 as ClosedRange<UInt64>)
    func shortTTL(caches: Int, seed: UInt64) {
        var name = Name(tasks: 20, ttl: .seconds(1), seed: seed)
        #expect(name.ask(times: 200) == [])
        var draw = Draw(seed: seed + 100)
        for _ in 0..<20 {
            let sets = (0..<caches).map { _ in draw.sample(8, of: Array(0..<20)) }
            for second in 0..<60 { #expect(name.ask(answer: sets[second % caches]) == []) }
        }
        #expect(name.union.members.count == 20)
    }

    @Test("two caches that are stale for an hour expire nobody", arguments: [1, 30])
    func staleCaches(ttl: Int) {
        var name = Name(tasks: 20, ttl: .seconds(ttl))
        #expect(name.ask(times: 200) == [])
        let sets = [Set(0..<8), Set(4..<12)]
        for answer in 0..<3_600 / ttl { #expect(name.ask(answer: sets[answer % 2]) == []) }
        #expect(name.union.members.count == 20)
    }

    @Test("the window counts as the samples themselves do", arguments: [9, 20, 60, 400])
    func window(tasks: Int) {
        var draw = Draw(seed: 5)
        var samples = AnswerSamples<Int>()
        var seen: [Set<Int>] = []
        for tick in 0..<650 {
            let answer = draw.sample(8, of: Array(0..<tasks))
            let isRepetition = answer == seen.last
            seen.append(answer)
            samples.record(answer, isRepetition: isRepetition, time: .seconds(10 * tick))
            let window = samples.window
            let depth = min(window.missesNeeded ?? seen.count, seen.count, SampleWindow.samplesMax)
            let shown = seen.suffix(depth).reduce(into: Set<Int>()) { $0.formUnion($1) }
            #expect(window.distinct == shown.count)
            #expect(window.sampleSize == 8)
            let changes = zip(seen.suffix(depth), seen.suffix(depth).dropFirst()).count { $0 != $1 }
            #expect(window.samples == (shown.count == 8 ? depth : changes + 1))
        }
    }
}
