/// Asks until the answer is yes: for what nobody tells by itself.
func poll(
    within limit: Duration, every interval: Duration = .milliseconds(100), _ what: @autoclosure () -> String,
    _ isSo: () async throws -> Bool
) async throws {
    let clock = ContinuousClock()
    let deadline = clock.now + limit
    while try await !isSo() {
        guard clock.now < deadline else { throw HarnessError("waited \(limit) in vain for \(what())") }
        try await clock.sleep(for: interval)
    }
}
