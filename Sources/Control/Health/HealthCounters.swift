import Policy
import Synchronization
import Telemetry

/// What the checks have come to since the start, by cluster. Written by the loop of the checks, read by scrapes.
final class HealthCounters: Sendable {
    private struct Counts {
        var passed = 0
        var failed = 0
        var inconclusive = 0
        var turnedHealthy = 0
        var turnedUnhealthy = 0
    }

    private let counts = Mutex<[String: Counts]>([:])

    func note(_ news: HealthNews, cluster: String) {
        counts.withLock { counts in
            switch news {
            case .result(.passed): counts[cluster, default: Counts()].passed += 1
            case .result(.failed): counts[cluster, default: Counts()].failed += 1
            case .result(.inconclusive): counts[cluster, default: Counts()].inconclusive += 1
            case .change(let change) where change.state == .healthy:
                counts[cluster, default: Counts()].turnedHealthy += 1
            case .change: counts[cluster, default: Counts()].turnedUnhealthy += 1
            // Its result has been counted.
            case .obstacle: break
            }
        }
    }

    var families: [MetricFamily] {
        let counts = counts.withLock { $0 }.sorted { $0.key < $1.key }
        var checks = MetricFamily(
            .counter, "ekiden_health_checks_total", "Results of active health checks, by what they showed.")
        var changes = MetricFamily(
            .counter, "ekiden_health_changes_total", "Verdicts on endpoints that changed, the first ones included.")
        for (cluster, counts) in counts {
            for (result, count) in [
                ("passed", counts.passed), ("failed", counts.failed), ("inconclusive", counts.inconclusive),
            ] {
                checks.samples.append(.init(Double(count), ["cluster": cluster, "result": result]))
            }
            for (state, count) in [("healthy", counts.turnedHealthy), ("unhealthy", counts.turnedUnhealthy)] {
                changes.samples.append(.init(Double(count), ["cluster": cluster, "to": state]))
            }
        }
        return [checks, changes]
    }
}
