import Testing

extension EndToEnd {
    @Suite("Retry storm")
    struct RetryStorm {
        @Test("All tasks answer UNAVAILABLE: retries stay within the budget, and callers get the answer")
        func budget() async throws {
            let addresses = Fleet.addresses(1...3)
            try await Processes.scope { processes in
                let fleet = try await processes.fleet(addresses)
                let ekiden = try await processes.ekiden(
                    route: "retry: {on: [unavailable], attempts: 5}",
                    cluster: """
                        discover: "\(fleet.discover(addresses))", outlier_detection: off, \
                        retry_budget: {ratio: 0.2, min_per_second: 10}
                        """)
                let began = Moment.now
                let load = try await processes.load(ekiden, arguments: ["--status", "14"])
                try await load.take(TestScale.rate * 8)
                let log = try await load.stop()
                let seconds = Moment.now - began

                let calls = Double(log.calls.count)
                let attempts = Double(try await fleet.calls().values.reduce(0, +))
                let most = 1.2 * calls + 10 * seconds + 20
                #expect(attempts <= most, "\(attempts) attempts of \(calls) calls in \(seconds) s")
                // Else the policy was not at work at all.
                #expect(attempts >= 1.15 * calls, "\(attempts) attempts of \(calls) calls in \(seconds) s")
                #expect(log.failures.count == log.calls.count)
                #expect(log.failures.allSatisfy { $0.status.hasPrefix("UNAVAILABLE") }, "\(log.story())")
                #expect(log.quantile(0.99) < 3, "\(log.quantile(0.99)) s")
                let metrics = try await ekiden.metrics()
                #expect(metrics.sum("ekiden_retries_total") == attempts - calls)
                #expect(metrics.sum("ekiden_retries_denied_total", #"reason="budget""#) ?? 0 > calls / 2)
                try await ekiden.checkSettled()
            }
        }
    }
}
