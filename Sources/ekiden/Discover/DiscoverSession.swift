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

    /// Looks until the answer is whole, nearly all endpoints are known, or the patience is over; then shows it. The
    /// first look is waited for in any case: its queries have time-outs of their own.
    /// - Returns: whether there are endpoints.
    func once(patience: Duration, as view: some DiscoverView) async -> Bool {
        var sight = DiscoverSight(source: source)
        var isOver = false
        await withEvents(patience: patience) { events in
            for await event in events {
                switch event {
                case .patienceOver:
                    isOver = true
                case .look(let report):
                    sight.take(report)
                    let coverage = report.coverage
                    if coverage?.isTruncated != true || coverage?.share ?? 0 >= Self.coverageGoal { isOver = true }
                }
                if isOver, sight.looks > 0 { break }
            }
        }
        ProcessLog.printResult(view.text(of: sight))
        return !sight.endpoints.isEmpty
    }

    /// Shows each look until the process is interrupted.
    func watch(as view: some DiscoverView) async -> Bool {
        var sight = DiscoverSight(source: source)
        await withEvents(patience: nil) { events in
            for await case .look(let report) in events {
                sight.take(report)
                ProcessLog.printResult(view.text(of: sight))
            }
        }
        return !sight.endpoints.isEmpty
    }

    private func withEvents(patience: Duration?, _ body: (AsyncStream<Event>) async -> Void) async {
        let transport = DNSClient(settings: settings)
        let factory = SourceFactory(
            settings: settings, transport: transport, clock: DiscoveryClock(ContinuousClock()))
        let (events, continuation) = AsyncStream.makeStream(of: Event.self)
        var tasks: [Task<Void, Never>] = []
        if let running = factory.make(source, rules: settings.answers) {
            tasks.append(Task { await running.run { continuation.yield(.look($0)) } })
            if let patience {
                tasks.append(
                    Task {
                        try? await Task.sleep(for: patience)
                        continuation.yield(.patienceOver)
                    })
            }
        } else {
            continuation.yield(.look(SourceReport()))
            continuation.finish()
        }
        await body(events)
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
        await transport.close()
    }
}
