/// When a caller's connection is asked to go: connections that came together, after a restart of their callers or of a
/// neighbour, do not all leave together.
package enum ConnectionAge {
    /// - Returns: nanoseconds that the connection lives, evenly spread over the age give or take its jitter; nil when
    ///   it may live for ever.
    package static func draw(_ settings: ListenerSettings, _ random: inout SplitMix64) -> Int64? {
        guard let age = settings.maxConnectionAge else { return nil }
        let jitter = min(max(settings.connectionAgeJitter, 0), 1)
        let factor = Double.random(in: 1 - jitter...1 + jitter, using: &random)
        // At most 36 years, so that a time to come can be told.
        return Int64(min(max(Double(age.nanoseconds) * factor, 1), 0x1p60))
    }
}
