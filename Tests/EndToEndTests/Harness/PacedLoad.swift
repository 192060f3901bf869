import Foundation
import Synchronization

/// Unary calls at a fixed rate, each with its times and its outcome.
final class PacedLoad: Sendable {
    let peer: PeerProcess
    private let taken = Mutex(CallLog())

    /// - Parameters:
    ///   - authorities: one after another; none for the target's own.
    ///   - delay: what a task takes to answer.
    ///   - arguments: further ones of the client.
    static func start(
        _ target: String, rate: Int = TestScale.rate, delay: Duration = .zero, authorities: [String] = [],
        arguments more: [String] = []
    ) async throws -> PacedLoad {
        var arguments = ["--target", target, "--rate", "\(rate)", "--delay-ms", "\(Int(delay / .milliseconds(1)))"]
        for authority in authorities { arguments += ["--authority", authority] }
        arguments += more
        let load = PacedLoad(try PeerProcess.python("paced_client.py", arguments))
        try await load.peer.event("ready")
        return load
    }

    private init(_ peer: PeerProcess) {
        self.peer = peer
    }

    /// The calls that have ended since they were taken last.
    @discardableResult
    func take() async throws -> CallLog {
        let position = peer.position
        try peer.command("take")
        return try await log(after: position)
    }

    /// As ``take()``, once `count` calls have ended.
    @discardableResult
    func take(_ count: Int) async throws -> CallLog {
        var log = CallLog()
        try await poll(within: .seconds(120), "\(count) calls") {
            log += try await take()
            return log.calls.count >= count
        }
        return log
    }

    /// The calls of a span of time.
    @discardableResult
    func take(for span: Duration) async throws -> CallLog {
        try await ContinuousClock().sleep(for: span)
        return try await take()
    }

    /// No new calls, and those in flight end.
    /// - Returns: all calls since the start, also those that were taken.
    func stop() async throws -> CallLog {
        let position = peer.position
        try peer.command("stop")
        _ = try await log(after: position)
        _ = try await peer.child.exitCode()
        return taken.withLock { $0 }
    }

    private func log(after position: Int) async throws -> CallLog {
        let log = try await peer.child.output.first(after: position, "calls") { CallLog(line: $0) }
        taken.withLock { $0 += log }
        return log
    }
}

/// Calls that have ended.
struct CallLog: Sendable {
    struct Call: Sendable {
        /// Seconds of the machine's monotonic clock: see ``Moment``.
        var start: Double
        var end: Double
        /// `OK`, or `CODE: details`.
        var status: String
        /// Who answered; empty when nobody did.
        var task: String
        var authority: String
        /// What the tasks know the call by; empty unless the calls are numbered.
        var number: String

        var isFailed: Bool { status != "OK" }
        var seconds: Double { end - start }
    }

    var calls: [Call] = []

    var failures: [Call] { calls.filter(\.isFailed) }

    /// Answers by task.
    var split: [String: Int] { Dictionary(calls.filter { !$0.isFailed }.map { ($0.task, 1) }, uniquingKeysWith: +) }

    init() {}

    /// An event `calls` of the paced client.
    init?(line: String) {
        guard line.hasPrefix(#"{"event": "calls""#),
            let event = try? JSONDecoder().decode(Event.self, from: Data(line.utf8))
        else { return nil }
        calls = event.calls.map { fields in
            let texts = fields[2...].map { event.texts[Int($0)] }
            return Call(
                start: fields[0], end: fields[1], status: texts[0], task: texts[1], authority: texts[2],
                number: texts[3])
        }
    }

    private struct Event: Decodable {
        var texts: [String]
        var calls: [[Double]]
    }

    static func += (log: inout CallLog, more: CallLog) {
        log.calls += more.calls
    }

    func filter(_ isWanted: (Call) -> Bool) -> CallLog {
        var log = CallLog()
        log.calls = calls.filter(isWanted)
        return log
    }

    /// Calls begun per second, from the first to the last.
    var rate: Double {
        guard let first = calls.map(\.start).min(), let last = calls.map(\.start).max(), last > first else { return 0 }
        return Double(calls.count - 1) / (last - first)
    }

    /// The duration in seconds within which this part of the calls ended.
    func quantile(_ part: Double) -> Double {
        let sorted = calls.map(\.seconds).sorted()
        return sorted.isEmpty ? 0 : sorted[min(Int(Double(sorted.count) * part), sorted.count - 1)]
    }

    /// Whether just these tasks answered, each within 5 % ± 2 of its share.
    func isEven(over tasks: [String]) -> Bool {
        let split = split
        let share = Double(split.values.reduce(0, +)) / Double(tasks.count)
        return Set(split.keys) == Set(tasks)
            && split.values.allSatisfy { abs(Double($0) - share) <= share * 0.05 + 2 }
    }

    /// For a failed test: how many calls, whose, and the first that failed, in seconds since `origin`.
    func story(since origin: Double? = nil) -> String {
        let first = origin ?? calls.map(\.start).min() ?? 0
        let shares = split.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        let failed = failures.sorted { $0.start < $1.start }.prefix(20).map { call in
            let times = [call.start, call.end].map { String(format: "%.3f", $0 - first) }.joined(separator: "–")
            return "  \(times) s \(call.authority) \(call.status)"
        }
        return "\(calls.count) calls, \(failures.count) failed; \(shares)\n" + failed.joined(separator: "\n")
    }
}

/// The clock that the paced client stamps its calls with.
enum Moment {
    /// Seconds of CLOCK_MONOTONIC, which all processes of a machine share.
    static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

/// How long and how hard, from the environment where somebody wants more than a run on every change should take.
enum TestScale {
    /// Calls per second where nothing else is said.
    static let rate = value("EKIDEN_TEST_RATE", 200)
    /// Calls per second while a service is deployed.
    static let deployRate = value("EKIDEN_TEST_DEPLOY_RATE", 1_000)
    /// Calls per second while a task goes dark.
    static let blackHoleRate = value("EKIDEN_TEST_BLACK_HOLE_RATE", 500)
    /// Cut answers through which nothing may expire falsely.
    static let answers = value("EKIDEN_TEST_ANSWERS", 12)
    /// Seconds for which name servers answer badly.
    static let outage = value("EKIDEN_TEST_OUTAGE", 12)
    /// Streams that stay open while tasks are replaced.
    static let streams = value("EKIDEN_TEST_STREAMS", 50)
    /// Seconds for which tasks are killed.
    static let kills = value("EKIDEN_TEST_KILLS", 60)
    /// Where the choice of the tasks to kill begins.
    static let seed = value("EKIDEN_TEST_SEED", 1)

    private static func value(_ name: String, _ standard: Int) -> Int {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? standard
    }
}
