import Synchronization

/// How an endpoint has answered lately, and whether it is ejected for it. Shared by all workers, lock-free.
///
/// An ejection ends by the success of a trial and by nothing else: its time only says from when on trials are made.
package struct OutlierRecord: ~Copyable, Sendable {
    /// One word says it all, so that no two workers see halves of a change. Zero: takes streams. Positive: ejected, and
    /// the time from which a trial may be made. Negative: a trial is under way, and the negated time at which its lease
    /// ends. Times are nanoseconds of the monotonic clock.
    private let state = Atomic<Int64>(0)
    private let failures = Atomic<Int>(0)
    /// Requests in the lower half and failures in the upper one: one addition counts both, one exchange takes both.
    private let window = Atomic<UInt64>(0)
    private let latencySum = Atomic<Int64>(0)
    private let latencyCount = Atomic<Int>(0)
    /// Ejections in a row: the exponent of the next one's length. Written by whoever ejects or sweeps.
    private let steps = Atomic<Int>(0)
    private let total = Atomic<Int>(0)
    /// When it came back, or last lost a step since.
    private let decayedAt = Atomic<Int64>(0)

    /// When somebody first missed an answer since the last one came; zero while nobody does.
    private let missedAt = Atomic<Int64>(0)

    /// How long a trial may last until another one is made, in nanoseconds. Its own outcome still counts until then.
    static let trialLease: Int64 = 60_000_000_000

    package init() {}

    /// Whether the endpoint takes no streams but a trial. One relaxed load: it is read in every pick.
    package var isEjected: Bool { state.load(ordering: .relaxed) != 0 }

    /// Nanoseconds of the monotonic clock from which on a trial may be made; that of its start while one is under way.
    /// Nil while the endpoint takes streams.
    package var ejectedUntil: Int64? {
        let state = state.load(ordering: .relaxed)
        return state == 0 ? nil : Self.dueTime(state)
    }

    /// Ejections since the endpoint is known, failed trials among them.
    package var ejectionsTotal: Int { total.load(ordering: .relaxed) }

    /// Failures since the last success. While the endpoint is ejected: those that were seen before.
    package var failuresInRow: Int { failures.load(ordering: .relaxed) }

    // MARK: Trial

    /// Takes the right to send the one stream that tells whether an ejected endpoint has recovered. One caller gets it
    /// once the ejection's time is over, until the trial has an outcome or has lasted for a minute.
    /// - Parameter now: nanoseconds of the monotonic clock.
    package func claimTrial(now: Int64) -> Bool {
        let current = state.load(ordering: .relaxed)
        guard current != 0, current.magnitude <= UInt64(max(now, 0)) else { return false }
        return state.compareExchange(expected: current, desired: -(now + Self.trialLease), ordering: .relaxed).exchanged
    }

    /// Gives the right back: the trial ended without saying anything about the endpoint. Does nothing when no trial is
    /// under way.
    /// - Parameter due: when another one may begin, in nanoseconds of the monotonic clock; nil for at once.
    package func releaseTrial(until due: Int64? = nil) {
        let current = state.load(ordering: .relaxed)
        // When it fails another trial was claimed or has an outcome, and stands.
        if current < 0 {
            _ = state.compareExchange(
                expected: current, desired: max(due ?? Self.dueTime(current), 1), ordering: .relaxed)
        }
    }

    /// The trial went well: streams follow.
    /// - Returns: false when no trial is under way; then it was late, and nothing has changed.
    @discardableResult
    func passTrial(now: Int64) -> Bool {
        guard state.load(ordering: .relaxed) < 0 else { return false }
        // While it is ejected nobody counts, so that it comes back with a clean record.
        clear(now: now)
        return endTrial(0)
    }

    /// The trial failed: the next ejection begins, a longer one.
    /// - Returns: its length in nanoseconds; nil when no trial is under way.
    func failTrial(now: Int64, _ settings: OutlierSettings) -> Int64? {
        let step = settings.step(after: steps.load(ordering: .relaxed))
        let length = settings.ejectionLength(step: step)
        guard endTrial(max(now + length, 1)) else { return nil }
        recordEjection(step)
        return length
    }

    private func endTrial(_ outcome: Int64) -> Bool {
        var current = state.load(ordering: .relaxed)
        while current < 0 {
            let (exchanged, original) = state.compareExchange(
                expected: current, desired: outcome, ordering: .relaxed)
            if exchanged { return true }
            current = original
        }
        return false
    }

    private static func dueTime(_ state: Int64) -> Int64 {
        state > 0 ? state : max(-state - trialLease, 1)
    }

    // MARK: Ejection

    /// Begins an ejection. One caller at a time in a cluster: the limits are checked before.
    /// - Returns: its length in nanoseconds; nil when the endpoint is ejected.
    func eject(now: Int64, _ settings: OutlierSettings) -> Int64? {
        let step = settings.step(after: steps.load(ordering: .relaxed))
        let length = settings.ejectionLength(step: step)
        guard state.compareExchange(expected: 0, desired: max(now + length, 1), ordering: .relaxed).exchanged
        else { return nil }
        recordEjection(step)
        return length
    }

    private func recordEjection(_ step: Int) {
        steps.store(step, ordering: .relaxed)
        total.wrappingAdd(1, ordering: .relaxed)
    }

    /// Ends an ejection without a trial: nobody looks for outliers any more.
    func restore(now: Int64) {
        guard isEjected else { return }
        clear(now: now)
        state.store(0, ordering: .relaxed)
    }

    /// Has the first trial made at `due` at the latest, in nanoseconds of the monotonic clock.
    func shorten(to due: Int64) {
        let current = state.load(ordering: .relaxed)
        // When it fails a trial has begun, or has an outcome.
        if current > due { _ = state.compareExchange(expected: current, desired: due, ordering: .relaxed) }
    }

    private func clear(now: Int64) {
        failures.store(0, ordering: .relaxed)
        missedAt.store(0, ordering: .relaxed)
        decayedAt.store(now, ordering: .relaxed)
        _ = takeWindow()
    }

    /// Takes one step off an endpoint that has taken streams for this long.
    func decay(now: Int64, after period: Int64) {
        guard steps.load(ordering: .relaxed) > 0, !isEjected, now - decayedAt.load(ordering: .relaxed) >= period
        else { return }
        decayedAt.store(now, ordering: .relaxed)
        steps.wrappingSubtract(1, ordering: .relaxed)
    }

    // MARK: Silence

    /// Notes that the endpoint has begun to answer somebody. A load only while nobody misses an answer.
    @inline(__always)
    package func noteAnswer() {
        if missedAt.load(ordering: .relaxed) != 0 { missedAt.store(0, ordering: .relaxed) }
    }

    /// Notes that somebody missed an answer.
    /// - Parameter now: nanoseconds of the monotonic clock.
    /// - Returns: whether others did before, for this many nanoseconds, and nobody had an answer since.
    package func noteMissed(for patience: Int64, now: Int64) -> Bool {
        let first = missedAt.load(ordering: .relaxed)
        if first != 0 { return now - first >= patience }
        missedAt.store(now, ordering: .relaxed)
        return false
    }

    // MARK: Counting

    /// Ends a row of failures. A load only while all is well, so that workers do not fight for the cache line.
    func noteSuccess() {
        if failures.load(ordering: .relaxed) != 0 { failures.store(0, ordering: .relaxed) }
    }

    /// - Returns: failures in a row with this one.
    func noteFailure() -> Int {
        failures.wrappingAdd(1, ordering: .relaxed).newValue
    }

    /// Counts a request for the next comparison.
    func count(isFailure: Bool) {
        window.wrappingAdd(isFailure ? 1 << 32 | 1 : 1, ordering: .relaxed)
    }

    /// Counts an answer's latency, in nanoseconds, for the next comparison.
    func count(latency: Int64) {
        latencySum.wrappingAdd(latency, ordering: .relaxed)
        latencyCount.wrappingAdd(1, ordering: .relaxed)
    }

    /// What was counted since it was last taken.
    func takeWindow() -> OutlierWindow {
        let counts = window.exchange(0, ordering: .relaxed)
        return OutlierWindow(
            requests: Int(counts & 0xFFFF_FFFF), failures: Int(counts >> 32),
            latencySum: latencySum.exchange(0, ordering: .relaxed),
            latencyCount: latencyCount.exchange(0, ordering: .relaxed))
    }
}
