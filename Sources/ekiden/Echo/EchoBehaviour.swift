import Policy

/// How a task of `ekiden echo` answers, beyond what the request itself asks for.
struct EchoBehaviour: Sendable {
    /// The task's name; part of every response.
    var name: String
    /// Before every response.
    var delay: Duration = .zero
    /// Share of calls that fail, 0...1.
    var errorRate: Double = 0
    /// The status of those calls.
    var errorStatus: GRPCStatus = .unavailable
    /// Bytes of each response's payload; nil echoes the request's.
    var messageSize: Int?
}
