/// A rule that a run breaks on purpose, so that it is seen whether anybody would notice.
enum Sabotage: CaseIterable {
    /// A byte of a response is not what the task got.
    case wrongByte
    /// A byte of a response is missing.
    case missingByte
    /// What a task refused has run all the same.
    case secondExecution
    /// The proxy hears of a later deadline than the caller has.
    case lateDeadline
    /// Streams without an end.
    case hangingStream
    /// A task's host does not come back.
    case lostHost

    /// Part of what the run has to say about it.
    var complaint: String {
        switch self {
        case .wrongByte, .missingByte: "wrong bytes"
        case .secondExecution: " ran 2 times"
        case .lateDeadline: "after its deadline"
        case .hangingStream: "has not ended"
        case .lostHost: "should have succeeded"
        }
    }
}
