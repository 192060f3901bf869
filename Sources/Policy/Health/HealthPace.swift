/// When an endpoint is checked next.
package enum HealthPace {
    /// A broken Watch is opened again after this part of the interval; the pause doubles up to the whole interval.
    private static let reopenPart: Int64 = 10

    /// The pause from the end of a check to the next one: checks begin an interval apart, jittered, so that a fleet of
    /// proxies does not ask in step; those that take longer follow each other at once.
    /// - Parameters:
    ///   - started: when the check began; nanoseconds of the monotonic clock.
    ///   - now: in the same time.
    /// - Returns: nanoseconds.
    package static func pause(
        since started: Int64, now: Int64, _ settings: HealthCheckSettings,
        using random: inout some RandomNumberGenerator
    ) -> Int64 {
        max(started + jittered(settings.interval.nanoseconds, settings, using: &random) - now, 0)
    }

    /// The pause before a Watch that broke is opened again.
    /// - Parameter failures: in a row, this one included.
    /// - Returns: nanoseconds.
    package static func reopenPause(
        failures: Int, _ settings: HealthCheckSettings, using random: inout some RandomNumberGenerator
    ) -> Int64 {
        let interval = settings.interval.nanoseconds
        // Four doublings make more than the whole of a tenth.
        let doubled = (interval / reopenPart) << Int64(min(max(failures - 1, 0), 4))
        return jittered(min(doubled, interval), settings, using: &random)
    }

    private static func jittered(
        _ pause: Int64, _ settings: HealthCheckSettings, using random: inout some RandomNumberGenerator
    ) -> Int64 {
        let share = min(max(settings.jitter, 0), 1)
        return Int64(Double(pause) * Double.random(in: 1 - share...1 + share, using: &random))
    }
}
