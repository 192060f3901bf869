import HTTP2
import NIOCore
import Policy

/// One call as its caller sees it.
final class SimulatedCall {
    /// How it ended.
    enum Outcome: Equatable, CustomStringConvertible {
        /// The response came to its end; the gRPC or HTTP status, and the reason where the proxy answered itself.
        case answered(status: Int, reason: String?)
        /// The proxy reset the stream.
        case reset(UInt32)
        /// The caller did.
        case cancelled
        /// Its connection ended first.
        case lost

        var description: String {
            switch self {
            case .answered(let status, let reason): "status \(status) \(reason ?? "of the task")"
            case .reset(let code): "reset \(code)"
            case .cancelled: "cancelled"
            case .lost: "lost"
            }
        }
    }

    let id: Int
    let plan: CallPlan
    fileprivate(set) var openedAt: Int64 = 0
    /// When its HEADERS were in the proxy's hands.
    var arrivedAt: Int64?
    fileprivate(set) var outcome: Outcome?
    fileprivate(set) var endedAt: Int64 = 0
    /// The number of the attempt whose head came.
    var attempt: Int?
    /// The number of the attempt whose trailers came.
    var trailersOf: Int?
    var hasHead = false
    var status: Int?
    var reason: String?
    /// Body bytes sent and received.
    var sent = 0
    var received = 0

    init(id: Int, plan: CallPlan) {
        self.id = id
        self.plan = plan
    }
}

/// One try of a call as a task sees it.
final class SimulatedAttempt {
    let number: Int
    let call: Int
    let task: String
    let act: Act
    /// By its own word the task has not looked at it.
    var isRefused = false
    var received = 0
    var isRequestComplete = false
    /// Body bytes handed over for the response, and whether that was all.
    var sent = 0
    var isAnswered = false
    var status = 0
    var isOver = false

    init(number: Int, call: Int, task: String, act: Act) {
        self.number = number
        self.call = call
        self.task = task
        self.act = act
    }
}

/// All that callers and tasks have seen in one run, and what of it must not be.
final class Ledger {
    private let loop: SimulationLoop
    private(set) var calls: [SimulatedCall] = []
    private(set) var attempts: [SimulatedAttempt] = []
    private(set) var violations: [String] = []
    /// Tells runs apart: the same for the same run.
    private(set) var digest: UInt64 = 0xcbf2_9ce4_8422_2325
    private let isTracing: Bool
    private(set) var trace: [String] = []

    init(loop: SimulationLoop, isTracing: Bool) {
        self.loop = loop
        self.isTracing = isTracing
    }

    /// Something happened. The numbers go into the digest, the text into the trace.
    func note(_ first: Int, _ second: Int, _ text: @autoclosure () -> String) {
        for number in [loop.time, Int64(first), Int64(second)] {
            digest = (digest ^ UInt64(bitPattern: number)) &* 0x100_0000_01b3
        }
        if isTracing { trace.append("\(milliseconds(loop.time)) \(text())") }
    }

    private func milliseconds(_ time: Int64) -> String {
        let micros = (time - 1_000_000_000_000) / 1_000
        return "\(micros / 1_000).\(String(1_000 + micros % 1_000).dropFirst())"
    }

    func violate(_ text: String) {
        note(-1, violations.count, "VIOLATION \(text)")
        if violations.count < 20 { violations.append("at \(milliseconds(loop.time)) ms: \(text)") }
    }

    // MARK: Calls

    func makeCall(_ plan: CallPlan) -> SimulatedCall {
        let call = SimulatedCall(id: calls.count, plan: plan)
        calls.append(call)
        call.openedAt = loop.time
        note(call.id, plan.size, "call \(call.id) opens: \(plan)")
        return call
    }

    /// - Parameter writtenAt: when the proxy wrote what ended it.
    func end(_ call: SimulatedCall, _ outcome: SimulatedCall.Outcome, writtenAt: Int64, isPrompt: Bool) {
        note(call.id, call.received, "call \(call.id) ends: \(outcome), \(call.received) bytes")
        if let before = call.outcome {
            violate("call \(call.id) ended twice: \(before), then \(outcome)")
            return
        }
        call.outcome = outcome
        call.endedAt = loop.time
        checkAnswer(call, outcome)
        checkDeadline(call, outcome, writtenAt: writtenAt, isPrompt: isPrompt)
    }

    // MARK: Attempts

    func makeAttempt(of call: Int, task: String, act: Act) -> SimulatedAttempt {
        let attempt = SimulatedAttempt(number: attempts.count, call: call, task: task, act: act)
        attempts.append(attempt)
        note(call, attempt.number, "attempt \(attempt.number) of call \(call) on \(task): \(act)")
        if call >= calls.count { violate("attempt of a call that nobody made: \(call)") }
        return attempt
    }

    func attempt(_ number: Int) -> SimulatedAttempt? {
        number >= 0 && number < attempts.count ? attempts[number] : nil
    }

    // MARK: Invariants

    /// Statuses that the proxy's own answers may have.
    private static let localStatuses: Set = [1, 4, 7, 8, 12, 13, 14, 16]

    /// What came is what one task sent, whole and in order, and is not called complete when it is not.
    private func checkAnswer(_ call: SimulatedCall, _ outcome: SimulatedCall.Outcome) {
        guard case .answered(let status, let reason) = outcome else { return }
        if let reason {
            if call.plan.isGRPC, !Self.localStatuses.contains(status) {
                violate("call \(call.id): own answer \(reason) with status \(status)")
            }
            if call.trailersOf != nil { violate("call \(call.id): own answer \(reason) with a task's trailers") }
            return
        }
        guard let number = call.attempt, let attempt = attempt(number), attempt.call == call.id else {
            violate("call \(call.id): complete, and from no attempt of its own (\(call.attempt ?? -1))")
            return
        }
        if attempt.isRefused { violate("call \(call.id): answered by attempt \(number), which was refused") }
        if !attempt.isAnswered { violate("call \(call.id): complete before attempt \(number) was") }
        if attempt.sent != call.received {
            violate("call \(call.id): \(call.received) bytes came of \(attempt.sent) from attempt \(number)")
        }
        if call.plan.isGRPC, attempt.act != .statusMissing {
            if attempt.status != status { violate("call \(call.id): status \(status) was \(attempt.status)") }
            if let trailers = call.trailersOf, trailers != number {
                violate("call \(call.id): head of attempt \(number), trailers of \(trailers)")
            }
        }
        if status == 0, attempt.act.isEcho, call.received != call.plan.size, call.plan.isGRPC {
            violate("call \(call.id): \(call.received) bytes came back of \(call.plan.size)")
        }
    }

    /// Nanoseconds by which an end may be later than the deadline.
    private static let late: Int64 = 50_000_000
    /// Timers tick by the millisecond.
    private static let tick: Int64 = 1_000_000

    private func checkDeadline(
        _ call: SimulatedCall, _ outcome: SimulatedCall.Outcome, writtenAt: Int64, isPrompt: Bool
    ) {
        guard let timeout = call.plan.timeout, let arrivedAt = call.arrivedAt, outcome != .cancelled, outcome != .lost
        else { return }
        let deadline = arrivedAt + timeout
        if isPrompt, writtenAt > deadline + Self.late {
            violate("call \(call.id): ended \((writtenAt - deadline) / 1_000_000) ms after its deadline (\(outcome))")
        }
        // Other routes have limits of their own.
        let early = call.openedAt + timeout - writtenAt
        if call.plan.route == .busy, case .answered(4, "deadline_exceeded") = outcome, early > Self.tick {
            violate("call \(call.id): DEADLINE_EXCEEDED \(early / 1_000_000) ms early")
        }
    }

    /// Each call reached as many tasks as its route allows, those not counted that said they have not looked at it.
    func checkExecutions() {
        var executions = [Int](repeating: 0, count: calls.count)
        for attempt in attempts where !attempt.isRefused && attempt.call < calls.count {
            executions[attempt.call] += 1
        }
        for call in calls where executions[call.id] > call.plan.route.executionsMax {
            violate("call \(call.id) (\(call.plan.route)) ran \(executions[call.id]) times")
        }
    }

    /// Whoever is told that nothing was done may do it again elsewhere: nothing was done.
    func checkRefusals() {
        let executed = Set(attempts.filter { !$0.isRefused }.map(\.call))
        for call in calls where call.outcome == .reset(ErrorCode.refusedStream.rawValue) && executed.contains(call.id) {
            violate("call \(call.id) was refused as not processed, and ran")
        }
    }

    /// No more calls than the limit allows reached a task.
    func checkLimit(_ limit: RateLimitSettings) {
        guard let rate = limit.requestsPerSecond else { return }
        let seen = Set(attempts.map(\.call)).filter { $0 < calls.count && calls[$0].plan.route == .limited }
        let admitted = seen.compactMap { calls[$0].arrivedAt }
        guard let first = admitted.min(), let last = admitted.max() else { return }
        let most = Double(limit.burst) + rate * Double(last - first) / 1e9
        if Double(admitted.count) > most + 1 { violate("\(admitted.count) calls were let through of \(most)") }
    }

    /// Nothing of before is still under way.
    func checkEnded() {
        for call in calls where call.outcome == nil {
            violate("call \(call.id) has not ended: \(call.plan), \(call.received) bytes came")
        }
        for attempt in attempts where !attempt.isOver {
            violate("attempt \(attempt.number) of call \(attempt.call) has not ended on \(attempt.task)")
        }
    }
}
