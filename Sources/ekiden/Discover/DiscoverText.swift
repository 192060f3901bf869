import Control
import DNS
import FoundationEssentials
import Policy

/// All of one answer, for people.
struct DiscoverPage: DiscoverView {
    func text(of sight: DiscoverSight) -> String {
        var lines = ["\(sight.source)", ""]
        let rows = sight.report.attempts.map(Self.row)
        if !rows.isEmpty {
            lines += TextTable.lines([["asked", "record", "name", "answer", "ttl", "time"]] + rows)
            lines.append("")
        }
        lines.append(DiscoverWords.summary(sight))
        if !sight.endpoints.isEmpty {
            lines.append("")
            lines += TextTable.lines(sight.endpoints.map { Self.row($0, sight) })
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func row(_ attempt: DNSAttempt) -> [String] {
        let ttl: String
        switch attempt.result {
        case .success(let answer): ttl = "\(answer.ttl) s"
        case .failure(let failure): ttl = failure.negativeTTL.map { "\($0) s" } ?? "-"
        }
        return [
            attempt.server?.description ?? "-", attempt.type.description, attempt.name.description,
            DiscoverWords.outcome(attempt), ttl, DiscoverWords.milliseconds(attempt.elapsed),
        ]
    }

    private static func row(_ endpoint: DiscoveredEndpoint, _ sight: DiscoverSight) -> [String] {
        var row = [sight.address(endpoint)]
        let traits = endpoint.traits
        if sight.endpoints.contains(where: { $0.traits.weight != 1 }) { row.append("weight \(traits.weight)") }
        if sight.endpoints.contains(where: { $0.traits.priority != 0 }) { row.append("priority \(traits.priority)") }
        if sight.coverage?.isTruncated == true {
            row.append(endpoint.isConfirmed ? "in the latest answer" : "from an earlier answer")
        }
        if !traits.attributes.isEmpty {
            row.append(
                traits.attributes.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " "))
        }
        return row
    }
}

/// A line per look, for people who watch.
struct DiscoverLines: DiscoverView {
    func text(of sight: DiscoverSight) -> String {
        var parts = [Self.time()]
        let answers = sight.report.attempts.map { attempt in
            "\(attempt.server?.description ?? "-") \(attempt.type) \(DiscoverWords.outcome(attempt))"
        }
        if !answers.isEmpty { parts.append(answers.joined(separator: ", ")) }
        parts.append(DiscoverWords.summary(sight))
        let changes = sight.added.map { "+\($0)" } + sight.removed.map { "-\($0)" }
        if !changes.isEmpty { parts.append(changes.joined(separator: " ")) }
        return parts.joined(separator: "  ") + "\n"
    }

    /// `12:00:05Z`.
    private static func time() -> String {
        WallClock.now.formatted(.iso8601.time(includingFractionalSeconds: false)) + "Z"
    }
}

/// What both ways of showing say alike.
enum DiscoverWords {
    /// `17 endpoints known, probably 20 ± 2 (85 %); the latest answer was cut`.
    static func summary(_ sight: DiscoverSight) -> String {
        let count = sight.coverage?.known ?? sight.endpoints.count
        var text = count == 1 ? "1 endpoint" : "\(count) endpoints"
        if let coverage = sight.coverage, coverage.isTruncated {
            text += " known"
            if let estimate = coverage.estimated, let share = coverage.share {
                let error = coverage.error.map { " ± \(Int($0.rounded(.up)))" } ?? ""
                text += ", probably \(Int(estimate.rounded()))\(error) (\(Int((share * 100).rounded())) %)"
            } else {
                text += ", nobody can tell yet how many there are"
            }
            text += "; the latest answer was cut"
        }
        if let failure = sight.report.failure { text += count == 0 ? ": \(failure)" : "; \(failure)" }
        return text
    }

    /// `8 records`, `NXDOMAIN`, `no answer in time`.
    static func outcome(_ attempt: DNSAttempt) -> String {
        switch attempt.result {
        case .success(let answer):
            let count = answer.records.count
            return count == 1 ? "1 record" : "\(count) records"
        case .failure(let failure):
            return failure.kind.shortText
        }
    }

    /// `31 s`, `0.5 s`.
    static func seconds(_ duration: Duration) -> String {
        let tenths = Int((duration / .seconds(1) * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10) s" : "\(tenths / 10).\(tenths % 10) s"
    }

    static func milliseconds(_ duration: Duration) -> String {
        let tenths = Int((duration / .milliseconds(1) * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) ms"
    }
}

/// Columns as wide as their widest cell, two spaces between them, everything indented by two.
enum TextTable {
    static func lines(_ rows: [[String]]) -> [String] {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            let cells = row.enumerated().map { column, cell in
                column == row.count - 1
                    ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
            }
            return "  " + cells.joined(separator: "  ")
        }
    }
}
