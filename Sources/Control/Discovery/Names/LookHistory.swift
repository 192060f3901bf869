import Policy

/// How the looks at a name have gone, what "there is none" comes to, and the report of it all. A value.
struct LookHistory: Sendable {
    /// The report of the last look.
    private(set) var report = SourceReport()
    /// Looks that have failed in a row: for the back-off.
    private(set) var failuresInRow = 0
    /// The first "there is none" since a look came to something else, and how many there were.
    private var none: (since: Duration, looks: Int)?

    /// "There is none" must have been heard so often before it is believed.
    private static let noneLooksNeeded = 2

    /// Takes a look in, and empties `resolution` once it is certain that there is none (``AnswerRules/emptyAfter``).
    ///
    /// A confirmed "none" counts as an answer, since it is one; the failure still says what was heard.
    ///
    /// - Parameters:
    ///   - resolution: after the look.
    ///   - name: as the configuration has it, for the events.
    ///   - emptyAfter: nil keeps the last good endpoints for ever.
    ///   - now: ``DiscoveryClock`` time.
    mutating func record(
        _ look: LookOutcome, of name: String, resolution: inout some NameResolution, emptyAfter: Duration?,
        attempts: [DNSAttempt], now: Duration
    ) {
        report.events = look.events
        report.attempts = attempts
        let hadFailed = report.failure != nil
        switch look.verdict {
        case .good:
            if hadFailed, look.partialFailure == nil { addRecovery(of: name) }
            if let partial = look.partialFailure { add(.failed, partial) }
            none = nil
            succeed(now: now)
            note(failure: look.partialFailure)
        case .failed(let failure):
            // "None" must be heard all the time; who does not answer says nothing about the name.
            none = nil
            fail(failure, keeping: resolution.endpoints.count)
        case .none(let failure):
            let since = none?.since ?? now
            let looks = (none?.looks ?? 0) + 1
            none = (since, looks)
            guard let emptyAfter, looks >= Self.noneLooksNeeded, now - since >= emptyAfter else {
                fail(failure, keeping: resolution.endpoints.count)
                break
            }
            let emptied = resolution.endpoints.map(\.text)
            resolution.removeAll()
            if !emptied.isEmpty {
                let time = Duration.seconds((now - since).components.seconds).configurationText
                add(.expired, "\(LookText.list(emptied)): confirmed: the name has had no records for \(time)")
            }
            // The back-off goes on: nothing is to be seen there for now.
            failuresInRow += 1
            report.lastSuccess = now
            report.answers += 1
            note(failure: failure.text)
        }
        report.endpoints = resolution.endpoints
        report.coverage = report.lastSuccess == nil ? nil : resolution.coverage
        report.ttl = resolution.ttl
    }

    private mutating func succeed(now: Duration) {
        report.lastSuccess = now
        report.answers += 1
        failuresInRow = 0
    }

    private mutating func fail(_ failure: LookFailure, keeping count: Int) {
        report.failures += 1
        failuresInRow += 1
        note(failure: failure.text)
        let kept = count == 0 ? "no endpoint yet" : "keeping \(LookText.count(count, .endpoint))"
        add(.failed, "\(failure.text), \(kept)")
    }

    private mutating func note(failure: String?) {
        report.failure = failure
        if let failure { report.lastFailure = failure }
    }

    private mutating func addRecovery(of name: String) {
        let looks = failuresInRow == 1 ? "1 look that failed" : "\(failuresInRow) looks that failed"
        add(.recovered, failuresInRow == 0 ? "\(name): whole again" : "\(name): answers again after \(looks)")
    }

    private mutating func add(_ kind: DiscoveryEvent.Kind, _ text: String) {
        report.events.append(DiscoveryEvent(kind, text))
    }
}

extension DiscoveredEndpoint {
    /// `10.0.0.4`, or `10.0.0.4:50051` where the source knows the port.
    fileprivate var text: String {
        port.map { EndpointAddress(host: host, port: $0).description } ?? host
    }
}
