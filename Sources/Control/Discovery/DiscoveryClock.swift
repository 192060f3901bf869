/// The clock of discovery as two functions, so that actors need not be generic over it.
package struct DiscoveryClock: Sendable {
    /// Time since this value was made.
    package let now: @Sendable () -> Duration
    /// Throws `CancellationError` when the task is cancelled.
    package let sleep: @Sendable (Duration) async throws -> Void

    package init(_ clock: some Clock<Duration>) {
        let start = clock.now
        now = { start.duration(to: clock.now) }
        sleep = { try await clock.sleep(for: $0) }
    }
}
