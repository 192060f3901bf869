import Policy
import Testing

@testable import DataPlane

@Suite("Watch over a connection")
struct ConnectionWatchTests {
    /// The settings' defaults: 2 s for SETTINGS, a PING after 10 s and 5 s for it, 1 s and 3 s of darkness, idle after
    /// 5 minutes.
    private static func watch(_ change: (inout ClusterSettings) -> Void = { _ in }) -> ConnectionWatch {
        var settings = ClusterSettings()
        change(&settings)
        return ConnectionWatch(settings, now: 0)
    }

    private static func readyWatch() -> ConnectionWatch {
        var watch = watch()
        watch.noteReady()
        return watch
    }

    /// Runs the watch's timers up to `end`, and says what it wanted when, in milliseconds.
    private func run(
        _ watch: inout ConnectionWatch, from start: Int, to end: Int, streams: Int = 0,
        kernel: (Int) -> KernelFacts? = { _ in KernelFacts(unacknowledged: 0, sinceAcknowledgement: 0) }
    ) -> [Seen] {
        var seen: [Seen] = []
        var now = start.nanoseconds
        while now <= end.nanoseconds {
            let time = Int(now / 1_000_000)
            var action = watch.look(now: now, streams: streams)
            if action == .askKernel {
                seen.append(Seen(time, action))
                action = watch.hear(kernel(time), now: now)
            }
            if action != .none { seen.append(Seen(time, action)) }
            switch action {
            case .lose, .idle: return seen
            case .none: now = max(watch.nextLook(now: now, streams: streams), now + 1)
            default: break
            }
        }
        return seen
    }

    private struct Seen: Equatable, CustomStringConvertible {
        let time: Int
        let action: ConnectionWatch.Action

        init(_ time: Int, _ action: ConnectionWatch.Action) {
            self.time = time
            self.action = action
        }

        var description: String { "\(time) ms: \(action)" }
    }

    private static func dark(since start: Int) -> (Int) -> KernelFacts? {
        { KernelFacts(unacknowledged: 3, sinceAcknowledgement: ($0 - start).nanoseconds) }
    }

    // MARK: Setup

    @Test("a task that sends no SETTINGS, or does not say what it serves, is given up in time")
    func setup() {
        var silent = Self.watch()
        #expect(run(&silent, from: 0, to: 10_000) == [Seen(2_000, .lose(.noSettings))])
        var undecided = Self.watch()
        undecided.noteVerification(now: 1_500.nanoseconds)
        #expect(run(&undecided, from: 1_500, to: 10_000) == [Seen(3_500, .lose(.notVerified))])
    }

    // MARK: Speech

    @Test("a task with a stream that is silent gets a PING, and is given up if it does not answer")
    func keepalive() {
        var watch = Self.readyWatch()
        #expect(
            run(&watch, from: 0, to: 60_000, streams: 1) == [
                Seen(10_000, .ping), Seen(15_000, .lose(.pingUnanswered)),
            ])
    }

    @Test("a stream that came and went on a task which says nothing at all is followed by a PING")
    func silentWithoutStreams() {
        var watch = Self.readyWatch()
        watch.noteSent(now: 5_000.nanoseconds)
        watch.noteStart()
        #expect(
            run(&watch, from: 5_250, to: 60_000) == [
                Seen(5_250, .askKernel), Seen(15_000, .ping), Seen(20_000, .lose(.pingUnanswered)),
            ])
    }

    @Test("two PINGs without data between them are all that a task gets for five minutes")
    func patience() {
        var watch = Self.readyWatch()
        for ping in [10_000, 20_001] {
            #expect(run(&watch, from: ping - 500, to: ping + 1, streams: 1) == [Seen(ping, .ping)])
            watch.noteRead(now: (ping + 1).nanoseconds)
        }
        #expect(run(&watch, from: 20_002, to: 320_001, streams: 1) == [])
        #expect(run(&watch, from: 320_001, to: 320_003, streams: 1) == [Seen(320_002, .ping)])
        watch.noteRead(now: 320_003.nanoseconds)
        watch.noteAnswer()
        #expect(run(&watch, from: 320_004, to: 330_003, streams: 1) == [Seen(330_003, .ping)])
    }

    @Test("a connection without streams is idle after its time, counted from the last stream's end")
    func idle() {
        var watch = Self.readyWatch()
        watch.noteRead(now: 70_000.nanoseconds)
        watch.noteIdle(now: 70_000.nanoseconds)
        #expect(run(&watch, from: 70_000, to: 1_000_000) == [Seen(370_000, .idle)])
    }

    // MARK: Acknowledgement

    @Test("a connection on which nothing is sent is not asked about, and one that is read from neither")
    func quiet() {
        var watch = Self.readyWatch()
        #expect(run(&watch, from: 0, to: 9_000, streams: 1) == [])
        watch.noteSent(now: 9_000.nanoseconds)
        for time in stride(from: 9_100, to: 60_000, by: 100) {
            watch.noteRead(now: time.nanoseconds)
            #expect(run(&watch, from: time, to: time + 99, streams: 5) == [])
        }
    }

    @Test("what has arrived is asked about once, until something is sent again")
    func arrived() {
        var watch = Self.readyWatch()
        watch.noteSent(now: 1_000.nanoseconds)
        #expect(watch.mayBeUnacknowledged)
        #expect(run(&watch, from: 1_000, to: 9_000, streams: 1) == [Seen(1_250, .askKernel)])
        #expect(!watch.mayBeUnacknowledged)
        watch.noteSent(now: 9_000.nanoseconds)
        #expect(run(&watch, from: 9_000, to: 9_900, streams: 1) == [Seen(9_250, .askKernel)])
    }

    @Test("a task that goes dark takes no new streams after a second and is given up after three")
    func dark() {
        var watch = Self.readyWatch()
        watch.noteSent(now: 60_000.nanoseconds)
        let seen = run(&watch, from: 60_000, to: 70_000, streams: 9, kernel: Self.dark(since: 0))
        #expect(
            seen.filter { $0.action != .askKernel } == [
                // The PING is due as well: nothing was read for a minute.
                Seen(60_000, .ping), Seen(61_250, .stall), Seen(63_250, .lose(.unacknowledged)),
            ])
        let questions = seen.filter { $0.action == .askKernel }.map(\.time)
        #expect(questions.prefix(5) == [60_250, 60_500, 60_750, 61_000, 61_250])
    }

    @Test("an old acknowledgement says nothing about bytes that are young")
    func youngBytes() {
        var watch = Self.readyWatch()
        // At each look something is on its way, and at the next it has arrived.
        var sent = 60_000
        watch.noteRead(now: 59_000.nanoseconds)
        for _ in 0..<20 {
            watch.noteSent(now: sent.nanoseconds)
            let look = sent + 250
            #expect(
                run(&watch, from: look, to: look, streams: 1, kernel: Self.dark(since: 0)) == [Seen(look, .askKernel)])
            watch.noteRead(now: (look + 1).nanoseconds)
            #expect(run(&watch, from: look + 250, to: look + 250, streams: 1) == [Seen(look + 250, .askKernel)])
            sent += 1_000
        }
        #expect(!watch.isStalled)
    }

    @Test("a task that acknowledges and does not answer lives, whatever is on its way")
    func slow() {
        var watch = Self.watch { $0.keepaliveInterval = .seconds(3_600) }
        watch.noteReady()
        watch.noteSent(now: 0)
        let seen = run(&watch, from: 0, to: 60_000, streams: 1) { _ in
            KernelFacts(unacknowledged: 40, sinceAcknowledgement: 900.nanoseconds)
        }
        #expect(seen.allSatisfy { $0.action == .askKernel })
        #expect(seen.count > 200)
    }

    @Test("a task that acknowledges again takes streams again")
    func back() {
        var watch = Self.readyWatch()
        watch.noteSent(now: 0)
        let seen = run(&watch, from: 0, to: 5_000, streams: 1) { time in
            time < 2_000
                ? KernelFacts(unacknowledged: 1, sinceAcknowledgement: time.nanoseconds)
                : KernelFacts(unacknowledged: time < 3_000 ? 2 : 0, sinceAcknowledgement: 10.nanoseconds)
        }
        #expect(seen.filter { $0.action != .askKernel } == [Seen(1_250, .stall), Seen(2_000, .resume)])
        #expect(!watch.isStalled && !watch.mayBeUnacknowledged)
        // And the next darkness counts from its own beginning.
        watch.noteSent(now: 6_000.nanoseconds)
        let again = run(&watch, from: 6_000, to: 20_000, streams: 1, kernel: Self.dark(since: 5_000))
        #expect(
            again.filter { $0.action != .askKernel } == [
                Seen(7_250, .stall), Seen(9_250, .lose(.unacknowledged)),
            ])
    }

    @Test("a pause of ours is not the task's silence", arguments: [(250, 2_250), (600, 2_850), (60_000, 62_250)])
    func ownPause(pause: Int, stallAt: Int) {
        // Looks at 250 ms, when the darkness begins, and at 500 ms; the next one is late.
        var watch = Self.readyWatch()
        watch.noteSent(now: 1_000.nanoseconds)
        watch.noteRead(now: 1_000.nanoseconds)
        _ = run(&watch, from: 1_250, to: 1_500, kernel: Self.dark(since: 1_000))
        let seen = run(&watch, from: 1_750 + pause, to: stallAt + 500, kernel: Self.dark(since: 1_000))
        #expect(seen.first { $0.action == .stall } == Seen(stallAt, .stall))
    }

    @Test("evidence that a task lives is what was read a moment ago, or that nothing speaks against it")
    func evidence() {
        var watch = Self.readyWatch()
        watch.noteRead(now: 1_000.nanoseconds)
        #expect(watch.isHeard(now: 1_999.nanoseconds) && watch.isUndoubted(now: 1_999.nanoseconds))
        #expect(!watch.isHeard(now: 2_000.nanoseconds) && watch.isUndoubted(now: 2_000.nanoseconds))
        watch.noteSent(now: 2_000.nanoseconds)
        #expect(!watch.isUndoubted(now: 2_000.nanoseconds))
        _ = run(&watch, from: 2_250, to: 3_500, kernel: Self.dark(since: 1_000))
        #expect(watch.isStalled && !watch.isHeard(now: 3_500.nanoseconds))
    }

    @Test("the kernel's own timeout comes after all that the watch does")
    func userTimeout() {
        var settings = ClusterSettings()
        #expect(TaskSocket.userTimeout(settings) == 17_000)
        settings.darkTimeout = .seconds(60)
        #expect(TaskSocket.userTimeout(settings) == 62_000)
    }

    @Test("bytes that wait on our side keep the question open although all that was sent has arrived")
    func blocked() {
        var watch = Self.readyWatch()
        watch.noteSent(now: 0)
        let seen = run(&watch, from: 0, to: 1_000, streams: 1) { _ in
            KernelFacts(unacknowledged: 0, sinceAcknowledgement: 0, isBlocked: true)
        }
        #expect(seen.map(\.time) == [250, 500, 750, 1_000])
        #expect(watch.mayBeUnacknowledged)
    }

    @Test("a kernel that cannot say is not asked again before the next write")
    func noFacts() {
        var watch = Self.readyWatch()
        watch.noteSent(now: 0)
        #expect(run(&watch, from: 0, to: 9_000, streams: 1, kernel: { _ in nil }) == [Seen(250, .askKernel)])
        #expect(!watch.isStalled)
    }
}

extension Int {
    /// Milliseconds in nanoseconds.
    fileprivate var nanoseconds: Int64 { Int64(self) * 1_000_000 }
}
