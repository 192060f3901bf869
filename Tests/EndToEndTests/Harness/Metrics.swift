/// One scrape of `/metrics`.
struct Metrics: Sendable {
    private let lines: [Substring]

    init(_ text: String) {
        lines = text.split(separator: "\n").filter { !$0.hasPrefix("#") }
    }

    /// The sum over all series of a metric whose labels contain `label`; nil when there is none.
    func sum(_ name: String, _ label: String = "") -> Double? {
        let values = lines.compactMap { line -> Double? in
            let series = line.prefix { $0 != " " }
            guard series == name || series.hasPrefix("\(name){") else { return nil }
            guard label.isEmpty || series.contains(label) else { return nil }
            return line.split(separator: " ").last.flatMap { Double($0) }
        }
        return values.isEmpty ? nil : values.reduce(0, +)
    }
}

extension EkidenProcess {
    func metrics() async throws -> Metrics {
        let answer = try await get("/metrics")
        guard answer.status == 200 else { throw HarnessError("/metrics answered \(answer.status): \(answer.body)") }
        return Metrics(answer.body)
    }

    /// The promises that hold after any load: every exchange has ended, every byte was given back, no invariant broke.
    /// Connections are closed a moment after their clients have gone, so it may ask a few times.
    func checkSettled() async throws {
        var open: [String] = []
        for _ in 0..<100 {
            let metrics = try await metrics()
            open = ["ekiden_active_streams", "ekiden_upstream_active_streams", "ekiden_buffered_bytes"]
                .filter { metrics.sum($0) ?? 0 != 0 }
                .map { "\($0) is \(metrics.sum($0) ?? 0)" }
            if let broken = metrics.sum("ekiden_invariant_violations_total"), broken != 0 {
                throw HarnessError("ekiden_invariant_violations_total is \(broken)")
            }
            if open.isEmpty { return }
        }
        throw HarnessError("after all clients have gone, \(open.joined(separator: ", "))")
    }
}
