import Policy

/// What the load saw since it was last asked.
struct LoadSample: Sendable {
    /// Calls that ended, well or badly.
    private(set) var ended = 0
    /// Calls by the task that answered.
    private(set) var answered: [String: Int] = [:]
    /// Of unary calls that ended well, from when they were due: a call that waits for its turn waits in the figure,
    /// too.
    private(set) var latencies = LatencyWindow()
    private(set) var failures: [LoadFailure: Int] = [:]

    var failed: Int { failures.values.reduce(0, +) }

    mutating func record(_ call: LoadCall, now: Int64) {
        ended += 1
        if let task = call.task { answered[task, default: 0] += 1 }
        if let failure = call.failure {
            failures[failure, default: 0] += 1
        } else if call.kind == .unary {
            latencies.record(now - call.dueAt)
        }
    }
}

/// How a call failed, as its caller saw it.
struct LoadFailure: Sendable, Hashable {
    let kind: LoadCall.Kind
    let status: GRPCStatus
    let message: String
}
