/// What a task does with a stream.
enum Act: Equatable, CustomStringConvertible {
    /// Sends back what it gets, as it gets it.
    case echo
    /// Sends it back when it has all.
    case echoAtEnd
    /// Answers with so many bytes without waiting for the request.
    case early(Int)
    /// Says only a status.
    case trailersOnly(Int)
    /// Ends an echo without `grpc-status`.
    case statusMissing
    case refuse
    /// Resets the stream when it has that many bytes of the request, or all.
    case reset(UInt32, after: Int)
    /// Closes the connection then.
    case die(after: Int, abruptly: Bool)
    /// Says GOAWAY with the first message: in order, or refusing what it has not begun.
    case goAway(refuses: Bool)
    /// Takes the request and says nothing, or no more than a head.
    case never(head: Bool)

    var isEcho: Bool { self == .echo || self == .echoAtEnd || isGoAway }

    private var isGoAway: Bool {
        if case .goAway = self { return true }
        return false
    }

    static func draw(_ chance: Chance) -> Act {
        switch chance.below(12) {
        case 0: .early(chance.below(4_000))
        case 1: .trailersOnly(chance.pick([5, 8, 13, 14]))
        case 2: .statusMissing
        case 3, 4: .refuse
        case 5, 6: .reset(UInt32(chance.pick([0, 1, 2, 8, 11])), after: chance.hits(50) ? 0 : chance.below(3_000))
        case 7: .die(after: chance.hits(50) ? 0 : chance.below(3_000), abruptly: chance.hits(60))
        case 8, 9: .goAway(refuses: chance.hits(70))
        default: .never(head: chance.hits(50))
        }
    }

    var description: String {
        switch self {
        case .echo: "echo"
        case .echoAtEnd: "echo at end"
        case .early(let count): "early with \(count) bytes"
        case .trailersOnly(let status): "status \(status)"
        case .statusMissing: "no status"
        case .refuse: "refuse"
        case .reset(let code, let count): "reset \(code) after \(count) bytes"
        case .die(let count, let abruptly): "\(abruptly ? "die" : "close") after \(count) bytes"
        case .goAway(let refuses): refuses ? "GOAWAY that refuses" : "GOAWAY"
        case .never(let head): head ? "head and no more" : "never"
        }
    }
}
