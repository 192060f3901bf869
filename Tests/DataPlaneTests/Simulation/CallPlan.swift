/// What a caller does with a call; drawn before it begins.
struct CallPlan: CustomStringConvertible {
    enum Route: CaseIterable {
        /// Tasks that fail, and no policy: what a task has seen is not tried again.
        case busy
        /// The same tasks, and calls that may run twice.
        case again
        /// The same, several attempts side by side.
        case hedged
        /// Few calls a second are let through.
        case limited
        /// Delays and answers on purpose.
        case faulty
        /// A task that never fails.
        case bystander

        var path: String {
            switch self {
            case .busy: "/busy.Echo/Say"
            case .again: "/again.Echo/Say"
            case .hedged: "/hedged.Echo/Say"
            case .limited: "/limited.Echo/Say"
            case .faulty: "/faulty.Echo/Say"
            case .bystander: "/bystander.Echo/Say"
            }
        }

        /// Tasks that may see one call.
        var executionsMax: Int {
            switch self {
            case .again, .hedged: 3
            case .busy, .limited, .faulty, .bystander: 1
            }
        }

        /// Whether a call of it has to succeed where nothing is wrong.
        var isReliable: Bool {
            switch self {
            case .busy, .again, .hedged, .bystander: true
            case .limited, .faulty: false
            }
        }
    }

    var route = Route.busy
    var isGRPC = true
    /// Body bytes, sent in this many pieces.
    var size = 0
    var pieces = 1
    /// From piece to piece, in nanoseconds.
    var gap: Int64 = 0
    /// Whether a piece waits for the echo of those before.
    var isPingPong = false
    /// `grpc-timeout` in nanoseconds: whole milliseconds.
    var timeout: Int64?
    /// When the caller resets it, in nanoseconds after it began.
    var cancelAfter: Int64?
    /// Whether it has to succeed.
    var isProbe = false
    /// How long the caller takes to read what it got; nanoseconds per chunk.
    var readDelay: Int64 = 0

    static func draw(_ chance: Chance) -> CallPlan {
        var plan = CallPlan()
        plan.route = chance.pick([.busy, .busy, .busy, .again, .again, .hedged, .hedged, .limited, .faulty])
        plan.isGRPC = chance.hits(90)
        plan.size = chance.size()
        plan.pieces = chance.hits(40) ? chance.range(1, 6) : 1
        plan.gap = chance.hits(50) ? 0 : chance.time(0, 150)
        plan.isPingPong = plan.isGRPC && chance.hits(25)
        if plan.isGRPC, chance.hits(45) { plan.timeout = Int64(chance.range(1, 1_500)) * 1_000_000 }
        if chance.hits(15) { plan.cancelAfter = chance.time(0, 600) }
        if chance.hits(10) { plan.readDelay = chance.time(1, 200) }
        return plan
    }

    /// A call that succeeds when anything does.
    static func probe(_ route: Route, _ chance: Chance) -> CallPlan {
        var plan = CallPlan()
        plan.route = route
        plan.isProbe = true
        plan.size = chance.below(2_000)
        return plan
    }

    var description: String {
        var words = ["\(route)", isGRPC ? "gRPC" : "HTTP", "\(size) bytes in \(pieces)"]
        if isPingPong { words.append("ping-pong") }
        if let timeout { words.append("timeout \(timeout / 1_000_000) ms") }
        if let cancelAfter { words.append("cancelled after \(cancelAfter / 1_000_000) ms") }
        if readDelay > 0 { words.append("reads after \(readDelay / 1_000_000) ms") }
        return words.joined(separator: ", ")
    }
}
