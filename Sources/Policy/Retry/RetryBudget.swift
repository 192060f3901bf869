/// What retries and hedges may add to a cluster's load: a share of the requests of the last ten seconds, and a few per
/// second whatever the traffic.
///
/// A value of one worker: its own traffic's share and its part of the minimum, so that the sum over the workers is the
/// cluster's budget. Time is an argument.
package struct RetryBudget: Sendable {
    private static let slots = 10
    private static let slotLength: Int64 = 1_000_000_000

    private let ratio: Double
    /// Tokens of the minimum, and how many come per second.
    private let perSecond: Double
    private var reserve: Double
    private var reserveAt: Int64 = 0

    /// Requests and retries by second, and their sums.
    private var requests = [Int](repeating: 0, count: slots)
    private var retries = [Int](repeating: 0, count: slots)
    private var requestSum = 0
    private var retrySum = 0
    private var slot = 0
    private var slotEnd: Int64 = 0

    /// - Parameter workers: how many share the cluster.
    package init(_ settings: RetryBudgetSettings, workers: Int) {
        ratio = settings.ratio
        perSecond = Double(settings.minimumPerSecond) / Double(max(workers, 1))
        // A worker of many may still retry one call now and then.
        reserve = settings.minimumPerSecond == 0 ? 0 : max(perSecond, 1)
    }

    /// Counts an exchange. Runs for every request.
    /// - Parameter now: nanoseconds of the monotonic clock.
    @inline(__always)
    package mutating func noteRequest(now: Int64) {
        if now >= slotEnd { turn(now) }
        requests[slot] += 1
        requestSum += 1
    }

    /// Takes one retry out of the budget.
    /// - Returns: whether there was one.
    package mutating func take(now: Int64) -> Bool {
        if now >= slotEnd { turn(now) }
        if Double(retrySum + 1) <= ratio * Double(requestSum) {
            retries[slot] += 1
            retrySum += 1
            return true
        }
        if perSecond > 0 {
            let elapsed = Double(now - reserveAt) / Double(Self.slotLength)
            reserve = min(reserve + max(elapsed, 0) * perSecond, max(perSecond, 1))
            reserveAt = now
            if reserve >= 1 {
                reserve -= 1
                return true
            }
        }
        return false
    }

    /// Lets go of what is older than the window.
    @inline(never)
    private mutating func turn(_ now: Int64) {
        if reserveAt == 0 { reserveAt = now }
        let steps = slotEnd == 0 ? Int64(Self.slots) : (now - slotEnd) / Self.slotLength + 1
        for _ in 0..<min(steps, Int64(Self.slots)) {
            slot = (slot + 1) % Self.slots
            requestSum -= requests[slot]
            retrySum -= retries[slot]
            requests[slot] = 0
            retries[slot] = 0
        }
        slotEnd = slotEnd == 0 ? now + Self.slotLength : slotEnd + steps * Self.slotLength
    }
}
