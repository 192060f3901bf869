import Control
import DNS

/// What happens to the tasks next: first a fixed order that shows everything once, then chance.
struct DemoScript {
    enum Act: Equatable {
        /// The task's host fails: nobody says good-bye, and DNS learns of it later.
        case kill(IPAddress)
        /// A rolling deploy takes the task away: out of DNS, then GOAWAY, and every call is finished.
        case drain(IPAddress)
        case add
    }

    private enum Kind: CaseIterable {
        case kill, drain, add
    }

    /// Tasks that run at least, and at most.
    static let runningTasks = 2...5

    private var opening: [Kind] = [.kill, .add, .drain, .add, .add, .kill]

    /// - Parameter running: the tasks that run, longest first.
    mutating func next(running: [IPAddress], using random: inout some RandomNumberGenerator) -> Act {
        let isOpening = !opening.isEmpty
        let wish = isOpening ? opening.removeFirst() : Kind.allCases.randomElement(using: &random) ?? .add
        let victim = isOpening ? running.first : running.randomElement(using: &random)
        let mayLeave = running.count > Self.runningTasks.lowerBound
        let mayCome = running.count < Self.runningTasks.upperBound
        switch (wish, victim) {
        case (.kill, let victim?) where mayLeave: return .kill(victim)
        case (.drain, let victim?) where mayLeave: return .drain(victim)
        case (.add, let victim?) where !mayCome: return .drain(victim)
        default: return .add
        }
    }
}
