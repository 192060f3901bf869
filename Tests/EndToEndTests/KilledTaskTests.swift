import Foundation
import Testing

extension EndToEnd {
    /// Tasks that die without a word, at any moment, and come back at the same address.
    @Suite("Killed tasks")
    struct KilledTasks {
        private static let addresses = Fleet.addresses(1...4)

        @Test("With `idempotent: true` no call fails while a task lives")
        func idempotent() async throws {
            try await Processes.scope { processes in
                let run = try await Massacre.run(
                    processes, route: "idempotent: true", over: Self.addresses, seconds: TestScale.kills)
                #expect(run.log.failures.isEmpty, "\(run.log.story())\nkilled: \(run.deaths)")
                #expect(run.deaths.count >= 4)
                // Else nothing was in flight on any of them, and the test has shown nothing.
                #expect(run.retries > 0)
            }
        }

        @Test("Otherwise only what was in flight on the killed task fails, once, and nothing runs twice")
        func unknownFate() async throws {
            try await Processes.scope { processes in
                let run = try await Massacre.run(
                    processes, route: "", over: Self.addresses, seconds: TestScale.kills)
                let strays = run.log.failures.filter { call in
                    !run.deaths.contains { $0.moment.lowerBound <= call.end && call.start <= $0.moment.upperBound }
                }
                #expect(strays.isEmpty, "\(run.log.story())\nkilled: \(run.deaths)")
                #expect(run.retries == 0)
                let twice = run.executions.filter { $0.value.count > 1 }
                #expect(twice.isEmpty, "\(twice.count) calls ran twice: \(twice.prefix(5))")
                // A call that failed ran on a task that was killed, if at all.
                for call in run.log.failures {
                    let ran = run.executions[call.number] ?? []
                    #expect(ran.allSatisfy { task in run.deaths.contains { $0.task == task } }, "\(call) ran on \(ran)")
                }
                // And what succeeded ran once, where the answer says.
                let missing = run.log.calls.filter { !$0.isFailed && run.executions[$0.number] != [$0.task] }
                #expect(missing.isEmpty, "\(missing.prefix(5))")
            }
        }
    }
}

/// Tasks are killed under load and started again, at least one of them alive at any time.
private struct Massacre {
    struct Death {
        var task: String
        /// In seconds as ``Moment`` counts.
        var moment: ClosedRange<Double>
    }

    var log: CallLog
    var deaths: [Death] = []
    /// By the call's number: the tasks that ran it, by their own account.
    var executions: [String: [String]] = [:]
    var retries = 0.0

    static func run(
        _ processes: Processes, route: String, over addresses: [String], seconds: Int
    ) async throws -> Massacre {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("ekiden-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func account(_ address: String) -> URL { folder.appendingPathComponent(address) }
        func start(_ address: String, port: Int) async throws -> Fleet {
            try await processes.fleet([address], port: port, arguments: ["--executions", account(address).path])
        }

        let port = try FreePort.next()
        var tasks: [String: Fleet] = [:]
        for address in addresses { tasks[address] = try await start(address, port: port) }
        guard let discover = tasks.values.first?.discover(addresses) else { throw HarnessError("no tasks") }
        let ekiden = try await processes.ekiden(
            route: route,
            cluster: """
                discover: "\(discover)", connect_backoff: 100ms, connect_backoff_max: 200ms, \
                outlier_detection: {ejection_base: 200ms, ejection_max: 500ms}
                """)
        // Long enough that some are in flight at any moment.
        let load = try await processes.load(ekiden, delay: .milliseconds(30), arguments: ["--numbered"])
        try await poll(within: .seconds(10), "answers of all tasks") {
            try await load.take().split.count == addresses.count
        }

        var massacre = Massacre(log: CallLog())
        var random = UInt64(TestScale.seed)
        func draw(_ count: Int) -> Int {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((random >> 33) % UInt64(count))
        }
        let end = Moment.now + Double(seconds)
        while Moment.now < end {
            // Up to all but one at once.
            var victims = addresses
            let spared = 1 + draw(addresses.count - 1)
            for _ in 0..<spared { victims.remove(at: draw(victims.count)) }
            for address in victims {
                guard let victim = tasks[address] else { continue }
                massacre.deaths.append(Death(task: address, moment: try await victim.kill()))
                // Longer than a call takes with its retries: else it may be in flight on all that are killed.
                try await load.take(for: .milliseconds(250 + draw(250)))
            }
            for address in victims { tasks[address] = try await start(address, port: port) }
            // All have to be in use again: otherwise the last one that is may be the next to go.
            try await load.take()
            try await poll(within: .seconds(20), "answers of the tasks that are back") {
                try await load.take().split.count == addresses.count
            }
        }
        massacre.log = try await load.stop()
        print(
            "kill -9: \(massacre.deaths.count) tasks in \(seconds) s, \(massacre.log.calls.count) calls,",
            "\(massacre.log.failures.count) failed\(route.isEmpty ? "" : "; \(route)")")
        massacre.retries = try await ekiden.metrics().sum("ekiden_retries_total") ?? 0
        try await ekiden.checkSettled()
        for address in addresses {
            let text = try String(contentsOf: account(address), encoding: .utf8)
            for number in text.split(separator: "\n") {
                massacre.executions[String(number), default: []].append(address)
            }
        }
        return massacre
    }
}
