/// A budget that refills with time. A value: `now` is the caller's.
package struct TokenBucket: Sendable {
    package let burst: Int
    package let ratePerSecond: Int
    private var tokens: Int
    /// Nanoseconds of the monotonic clock up to which the refill was counted.
    private var refilledAt: Int64?

    package init(burst: Int, ratePerSecond: Int) {
        self.burst = burst
        self.ratePerSecond = ratePerSecond
        tokens = burst
    }

    /// Tokens left as of the last call.
    package var left: Int { tokens }

    /// Takes tokens; the balance may go below zero.
    /// - Returns: whether the budget covered them.
    package mutating func take(_ amount: Int, now: Int64) -> Bool {
        if let refilledAt {
            // A day fills any bucket, and its nanoseconds times any rate fit.
            let elapsed = min(max(now - refilledAt, 0), 86_400_000_000_000)
            let earned = elapsed * Int64(ratePerSecond) / 1_000_000_000
            if earned > 0 {
                tokens = Int(min(Int64(tokens) + earned, Int64(burst)))
                // Whole tokens only; the remainder of the time stays on the account.
                let spent = earned * 1_000_000_000 / Int64(ratePerSecond)
                self.refilledAt = elapsed == now - refilledAt ? refilledAt + spent : now
            }
        } else {
            refilledAt = now
        }
        tokens -= amount
        return tokens >= 0
    }
}
