import Control
import DNS
import Policy

/// One run of `ekiden discover`: a source that is looked at by itself, without a mesh.
struct DiscoverSession {
    let source: DiscoverySource
    let settings: DNSSettings

    /// The part of the endpoints with which they are taken for complete.
    private static let coverageGoal = 0.99

    private enum Event: Sendable {
        case look(SourceReport)
        case patienceOver
    }

    /// The looks, and those who make them.
    private struct Looking {
        let events: AsyncStream<Event>
        let continuation: AsyncStream<Event>.Continuation
        /// Nil for a source that has nothing to look at.
        let running: (any EndpointSource)?

        /// Has ``Event/patienceOver`` come in so long, unless the task is cancelled before.
        func startTimer(_ patience: Duration) -> Task<Void, Never> {
            Task {
                try? await Task.sleep(for: patience)
                continuation.yield(.patienceOver)
            }
        }
    }

    /// Looks until the answer is whole, nearly all endpoints are known, or the patience is over; then shows it.
    ///
    /// The patience begins with the first look, which has time-outs of its own. Each of several name servers has its
    /// own cache, so the others are asked at the start too, a second apart.
    /// - Parameter wait: the patience with a cut answer; nil lets its TTL decide.
    /// - Returns: whether there are endpoints.
    func once(wait: Duration?, as view: some DiscoverView) async -> Bool {
        var sight = DiscoverSight(source: source)
        var patience: DiscoverPatience?
        var timer: Task<Void, Never>?
        var serversLeft = settings.servers.count - 1
        await withLooks { looking in
            for await event in looking.events {
                guard case .look(let report) = event else {
                    if let text = patience?.end { ProcessLog.printError(text) }
                    break
                }
                sight.take(report)
                guard let coverage = sight.coverage, coverage.isTruncated else { break }
                if let share = coverage.share, share >= Self.coverageGoal { break }
                if patience == nil {
                    let begun = DiscoverPatience(ttl: report.ttl ?? .zero, chosen: wait)
                    guard begun.duration > .zero else { break }
                    ProcessLog.printError(begun.start(settings.answers))
                    timer = looking.startTimer(begun.duration)
                    patience = begun
                }
                if serversLeft > 0 {
                    serversLeft -= 1
                    looking.running?.refreshNow()
                }
            }
            timer?.cancel()
        }
        ProcessLog.printResult(view.text(of: sight))
        return !sight.endpoints.isEmpty
    }

    /// Shows each look until a signal ends the process. Returns only where there is nothing to look at again.
    func watch(as view: some DiscoverView) async -> Bool {
        var sight = DiscoverSight(source: source)
        await withLooks { looking in
            for await case .look(let report) in looking.events {
                sight.take(report)
                ProcessLog.printResult(view.text(of: sight))
            }
        }
        return !sight.endpoints.isEmpty
    }

    private func withLooks(_ body: (Looking) async -> Void) async {
        let transport = DNSClient(settings: settings)
        let factory = SourceFactory(
            settings: settings, transport: transport, clock: DiscoveryClock(ContinuousClock()))
        let (events, continuation) = AsyncStream.makeStream(of: Event.self)
        let running = factory.make(source, rules: settings.answers)
        let task = running.map { running in
            Task { await running.run { continuation.yield(.look($0)) } }
        }
        if running == nil {
            continuation.yield(.look(SourceReport()))
            continuation.finish()
        }
        await body(Looking(events: events, continuation: continuation, running: running))
        task?.cancel()
        await task?.value
        await transport.close()
    }
}
