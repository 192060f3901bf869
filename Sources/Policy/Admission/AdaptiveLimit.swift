/// Finds how many exchanges of one worker a cluster serves at a time without queueing (gradient, after Netflix's
/// concurrency-limits and Envoy's adaptive concurrency).
///
/// Once per interval: limit ← limit · (lowest latency / median latency now, 0.5...1) + √limit. While nothing queues the
/// limit grows by its headroom, as far as it is made use of; where a queue grows the ratio takes away as much. The
/// lowest latency is measured at the beginning, and anew every relearn interval, with no more exchanges than the
/// minimum, so that the queue is empty. Workers do that at the same time (at multiples of the interval since the
/// clock's zero): otherwise each would measure the queue of the others.
///
/// Confined to one worker; time is an argument, in nanoseconds of the monotonic clock.
package struct AdaptiveLimit: Sendable {
    private let floor: Double
    private let ceiling: Double
    private let interval: Int64
    private let relearnInterval: Int64

    private var current: Double
    /// The median latency with an empty queue; nil until it was measured.
    private var lowest: Int64?
    /// Since when it is being measured.
    private var learningSince: Int64?
    private var nextLearning: Int64
    private var window = LatencyHistogram()
    private var windowEnds: Int64
    /// Exchanges at a time in this window, at most.
    private var peak = 0

    /// Latencies that tell enough to set the limit, or the lowest latency.
    private static let windowMinimum = 10
    private static let learningEnough = 100
    /// Intervals after which a measurement ends with what it has.
    private static let learningIntervals: Int64 = 10
    /// What a median may lie above the lowest one by chance.
    private static let noise = 1.15

    /// - Parameter workers: how many share the cluster's minimum and maximum.
    package init(_ settings: AdaptiveLimitSettings, workers: Int, now: Int64) {
        let share = Double(max(workers, 1))
        floor = max((Double(settings.minimum) / share).rounded(.up), 1)
        ceiling = max((Double(settings.maximum) / share).rounded(.up), floor)
        interval = max(settings.interval.nanoseconds, 1_000_000)
        relearnInterval = max(settings.relearnInterval.nanoseconds, interval)
        current = floor
        learningSince = now
        nextLearning = (now / relearnInterval + 1) * relearnInterval
        windowEnds = now + interval
    }

    /// Exchanges of this worker that may be in flight now.
    package var limit: Int { learningSince == nil ? Int(current) : Int(min(floor, current)) }

    /// Whether one more exchange may begin.
    /// - Parameter inFlight: the worker's exchanges on the cluster without this one.
    package mutating func admits(inFlight: Int, now: Int64) -> Bool {
        update(now: now)
        guard inFlight < limit else { return false }
        peak = max(peak, inFlight + 1)
        return true
    }

    /// Takes in how long a task took to answer; one that did not until the timeout took as long as that.
    /// - Parameter latency: nanoseconds from the stream's start to the response's head.
    package mutating func note(latency: Int64, now: Int64) {
        update(now: now)
        if let learningSince {
            // What began before met the queue that had to go first.
            guard now - latency >= learningSince else { return }
            window.note(latency)
            if window.count >= Self.learningEnough { endLearning(now) }
        } else {
            window.note(latency)
        }
    }

    /// Sets the limit anew if it is time to. Done by the other functions, too; without traffic nothing needs it.
    package mutating func update(now: Int64) {
        guard now >= windowEnds else { return }
        if let learningSince {
            // Without any measurement it goes on until there is one; with an old one it need not be waited for.
            let isOver = now - learningSince >= interval * Self.learningIntervals
            if isOver, lowest != nil || window.count >= Self.windowMinimum { endLearning(now) }
            return
        }
        if now >= nextLearning {
            nextLearning = (now / relearnInterval + 1) * relearnInterval
            learningSince = now
            beginWindow(now)
            return
        }
        guard window.count >= Self.windowMinimum, let lowest, let median = window.median else { return }
        let ratio = min(max(Double(lowest) * Self.noise / Double(max(median, 1)), 0.5), 1)
        let next = min(max(current * ratio + current.squareRoot(), floor), ceiling)
        // A limit that nobody came near was not tried: latency says nothing about a higher one.
        if next <= current || Double(peak) * 2 >= current { current = next }
        beginWindow(now)
    }

    private mutating func endLearning(_ now: Int64) {
        if window.count >= Self.windowMinimum { lowest = window.median ?? lowest }
        learningSince = nil
        beginWindow(now)
    }

    private mutating func beginWindow(_ now: Int64) {
        window.removeAll()
        windowEnds = now + interval
        peak = 0
    }
}
