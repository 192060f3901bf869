import Testing

extension EndToEnd {
    @Suite("Outliers and health checks")
    struct Outliers {
        private static let addresses = Fleet.addresses(1...3)
        private static let settings = "outlier_detection: {consecutive_failures: 5, interval: 1s, ejection_base: 1s}"

        @Test("A task that always fails is passed over but for trials, and gets its share back when it is well")
        func ejected() async throws {
            let ill = Self.addresses[1]
            try await Processes.scope { processes in
                let (fleet, ekiden, load) = try await start(Self.settings, processes)
                try await fleet.fail(ill, 14)
                try await poll(within: .seconds(10), "an ejection") {
                    try await ekiden.metrics().sum("ekiden_ejections_total", #"reason="consecutive_failures""#) ?? 0 > 0
                }
                let early = try await load.take()
                // Five in a row, and those that were in flight on other workers by then.
                #expect((5...25).contains(early.failures.count), "\(early.story())")

                let late = try await load.take(for: .seconds(4))
                let trials = try await ekiden.metrics().sum("ekiden_ejection_trials_total") ?? 0
                #expect(trials >= 1)
                #expect(Double(late.failures.count) <= trials, "\(late.story())\n\(trials) trials")
                #expect(try await ekiden.state(of: ill) == "ejected")

                try await fleet.fail(ill, 0)
                try await poll(within: .seconds(15), "the share of the task that is well again") {
                    try await load.take(for: .milliseconds(500)).isEven(over: Self.addresses)
                }
                _ = try await load.stop()
                try await ekiden.checkSettled()
            }
        }

        @Test("When all fail the last one is never passed over, and calls succeed as soon as tasks do")
        func allFail() async throws {
            try await Processes.scope { processes in
                let (fleet, ekiden, load) = try await start(Self.settings, processes)
                for address in Self.addresses { try await fleet.fail(address, 14) }
                try await poll(within: .seconds(10), "an ejection") {
                    try await ekiden.metrics().sum("ekiden_ejections_total") ?? 0 > 0
                }
                try await load.take()
                let bad = try await load.take(for: .seconds(2))
                // The tasks' own answers: nobody was left without one to ask.
                #expect(bad.failures.allSatisfy { $0.status.hasSuffix("fails") }, "\(bad.story())")
                let states = try await ekiden.discovery("tasks").endpoints.map(\.state)
                #expect(states.contains { $0 != "ejected" }, "\(states)")

                for address in Self.addresses { try await fleet.fail(address, 0) }
                let healed = Moment.now
                try await load.take(for: .milliseconds(500))
                let good = try await load.take(for: .seconds(1)).filter { $0.start > healed }
                #expect(good.failures.isEmpty, "\(good.story(since: healed))")
                _ = try await load.stop()
                try await ekiden.checkSettled()
            }
        }

        @Test("A task that says NOT_SERVING gets no calls until it says SERVING, and no call fails")
        func notServing() async throws {
            let ill = Self.addresses[2]
            let well = Array(Self.addresses[..<2])
            try await Processes.scope { processes in
                let (fleet, ekiden, load) = try await start(
                    "health_check: {grpc: \"\", interval: 300ms, timeout: 300ms}", processes)
                try await fleet.serve(ill, false)
                try await poll(within: .seconds(10), "the end of its calls") {
                    let log = try await load.take(for: .milliseconds(500))
                    return !log.calls.isEmpty && log.split[ill] == nil
                }
                let without = try await load.take(for: .seconds(1))
                #expect(without.isEven(over: well), "\(without.story())")
                #expect(try await ekiden.state(of: ill) == "unhealthy")

                try await fleet.serve(ill, true)
                try await poll(within: .seconds(10), "its share") {
                    try await load.take(for: .milliseconds(500)).isEven(over: Self.addresses)
                }
                let log = try await load.stop()
                #expect(log.failures.isEmpty, "\(log.story())")
                try await ekiden.checkSettled()
            }
        }

        @Test("With too few usable tasks for its panic threshold a cluster uses all of them, and says so")
        func panic() async throws {
            let ill = Self.addresses[0]
            try await Processes.scope { processes in
                let (fleet, ekiden, load) = try await start(
                    "panic_threshold: 0.7, outlier_detection: {interval: 200ms}, "
                        + "health_check: {grpc: \"\", interval: 300ms, timeout: 300ms}", processes)
                try await fleet.serve(ill, false)
                try await ekiden.log("cluster tasks panics: only 2 of 3 endpoints are usable, so that all")
                try await load.take()
                let during = try await load.take(for: .seconds(1))
                #expect(during.isEven(over: Self.addresses), "\(during.story())")
                #expect(try await ekiden.state(of: ill) == "unhealthy")

                let position = ekiden.child.errors.all.count
                try await fleet.serve(ill, true)
                try await ekiden.log("cluster tasks panics no longer: 3 of 3 endpoints are usable", after: position)
                let log = try await load.stop()
                #expect(log.failures.isEmpty, "\(log.story())")
                try await ekiden.checkSettled()
            }
        }

        /// Tasks, the proxy and a load that all of them answer.
        private func start(
            _ cluster: String, _ processes: Processes
        ) async throws -> (fleet: Fleet, ekiden: EkidenProcess, load: PacedLoad) {
            let fleet = try await processes.fleet(Self.addresses)
            let ekiden = try await processes.ekiden(
                cluster: "discover: \"\(fleet.discover(Self.addresses))\", \(cluster)")
            let load = try await processes.load(ekiden)
            try await poll(within: .seconds(10), "answers of all tasks") {
                try await load.take().split.count == Self.addresses.count
            }
            return (fleet, ekiden, load)
        }
    }
}

extension EkidenProcess {
    /// What `/clusters` calls the state of an endpoint of the cluster `tasks`.
    fileprivate func state(of host: String) async throws -> String? {
        try await discovery("tasks").endpoints.first { $0.address.hasPrefix("\(host):") }?.state
    }
}
