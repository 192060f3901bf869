import NIOPosix

/// Endpoints from a file that somebody else writes: a deployment script, a config map, a person.
///
/// Looks at the file once a second, by path and through symbolic links, and reads it when it has changed and come to
/// rest. No look empties what is known: a file that is gone, cannot be read or lists nothing leaves the last good
/// endpoints (``SourceReport/failure`` says why), unless it lists nothing for `emptyAfter`.
///
/// Reports after the first look, and then after each one that found something new.
package actor FileSource: EndpointSource {
    /// The absolute path.
    package nonisolated let path: String
    private let clock: DiscoveryClock
    private let refreshSignal = RefreshSignal()
    private var watch = FileWatch()
    private var ledger: FileLedger

    /// From one look to the next.
    static let interval: Duration = .seconds(1)
    /// Looks asked for by ``refreshNow()`` start at least this long after the one before.
    static let minimumGap: Duration = .milliseconds(100)

    /// - Parameters:
    ///   - path: absolute.
    ///   - emptyAfter: how long the file must list no endpoint until the last good ones go; nil keeps them for ever.
    package init(path: String, emptyAfter: Duration? = nil, clock: DiscoveryClock) {
        self.path = path
        self.clock = clock
        ledger = FileLedger(path: path, emptyAfter: emptyAfter)
    }

    package nonisolated func refreshNow() {
        refreshSignal.request()
    }

    package func run(report: @escaping @Sendable (SourceReport) async -> Void) async {
        while !Task.isCancelled {
            refreshSignal.clear()
            let started = clock.now()
            let outcome = await look(now: started)
            if Task.isCancelled { return }
            if ledger.record(outcome, now: started) { await report(ledger.report) }
            guard await refreshSignal.wait(atMost: Self.interval, clock: clock) else { continue }
            let gap = started + Self.minimumGap - clock.now()
            if gap > .zero { try? await clock.sleep(gap) }
        }
    }

    /// One look on a thread that may wait for the disk.
    private func look(now: Duration) async -> FileOutcome {
        let (path, before) = (path, watch)
        let result = try? await NIOThreadPool.singleton.runIfActive {
            var watch = before
            let outcome = watch.look(at: path, now: now)
            return (watch, outcome)
        }
        // Cancelled: nobody is left to tell.
        guard let (after, outcome) = result else { return .unchanged }
        watch = after
        return outcome
    }
}
