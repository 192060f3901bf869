/// What is known from a file: its last good endpoints and how the looks have gone. A value without clock or files.
struct FileLedger: Sendable {
    /// As of the last ``record(_:now:)`` that had something to tell.
    private(set) var report = SourceReport()
    private let path: String
    private let emptyAfter: Duration?
    /// Since when the file lists no endpoint; nil while it does, or cannot be read.
    private var emptySince: Duration?

    /// - Parameter emptyAfter: how long the file must list nothing until that is believed; nil: for ever.
    init(path: String, emptyAfter: Duration?) {
        self.path = printable(path)
        self.emptyAfter = emptyAfter
    }

    /// Takes in a look.
    /// - Parameter now: ``DiscoveryClock`` time.
    /// - Returns: whether ``report`` has something new to tell.
    mutating func record(_ outcome: FileOutcome, now: Duration) -> Bool {
        switch outcome {
        case .unchanged:
            // A list that stays empty is a look's outcome too once its time is over.
            guard isEmptyBelieved(now), report.failure != nil else { return false }
            accept([], now: now)
            return true
        case .failure(let reason):
            emptySince = nil
            return fail(reason)
        case .endpoints(let endpoints):
            emptySince = endpoints.isEmpty ? emptySince ?? now : nil
            guard !endpoints.isEmpty || isEmptyBelieved(now) else { return fail("\(path): it lists no endpoint") }
            accept(endpoints, now: now)
            return true
        }
    }

    private func isEmptyBelieved(_ now: Duration) -> Bool {
        guard let emptyAfter, let emptySince else { return false }
        return now - emptySince >= emptyAfter
    }

    private mutating func accept(_ endpoints: [DiscoveredEndpoint], now: Duration) {
        let isChange = endpoints != report.endpoints || report.lastSuccess == nil
        let count = endpoints.count == 1 ? "1 endpoint" : "\(endpoints.count) endpoints"
        report.events = []
        if isChange { report.events.append(DiscoveryEvent(.answer, "\(path): \(count)")) }
        // An empty list that is believed at last is no recovery.
        if report.failure != nil, !endpoints.isEmpty {
            report.events.append(DiscoveryEvent(.recovered, "\(path): good again, \(count)"))
        }
        report.endpoints = endpoints
        report.failure = nil
        report.lastSuccess = now
        report.answers += 1
    }

    /// - Returns: false when this very failure was told already.
    private mutating func fail(_ reason: String) -> Bool {
        guard reason != report.failure else { return false }
        report.events = [DiscoveryEvent(.failed, reason)]
        report.failure = reason
        report.lastFailure = reason
        report.failures += 1
        return true
    }
}
