/// Tells a rapid-reset attack (CVE-2023-44487) from callers whose deadlines expire.
///
/// A reset is premature when it comes within a second of the request, before the response's head, and not at the
/// request's own deadline. A value: time is an argument.
package struct PrematureResets: Sendable {
    private let window: Int64
    private let minimum: Int
    private let ratio: Double
    private var windowStart: Int64 = 0
    private var closed = 0
    private var premature = 0

    package init(limits: Limits) {
        window = limits.prematureResetWindow.nanoseconds
        minimum = limits.prematureResetMinimum
        ratio = limits.prematureResetRatio
    }

    /// Whether a reset is premature.
    /// - Parameters:
    ///   - age: nanoseconds since the request's headers.
    ///   - timeout: nanoseconds of the request's `grpc-timeout`, if it has one.
    package static func isPremature(age: Int64, timeout: Int64?) -> Bool {
        guard age < 1_000_000_000 else { return false }
        guard let timeout, timeout >= 5_000_000 else { return true }
        // ±10 %, and a little for the way the cancel takes.
        return age < timeout - timeout / 10 || age > timeout + timeout / 10 + 20_000_000
    }

    /// Counts a stream that closed.
    /// - Returns: whether the connection has to end.
    package mutating func note(isPremature: Bool, now: Int64) -> Bool {
        if now - windowStart > window {
            windowStart = now
            closed = 0
            premature = 0
        }
        closed += 1
        guard isPremature else { return false }
        premature += 1
        return closed >= minimum && Double(premature) >= Double(closed) * ratio
    }
}
