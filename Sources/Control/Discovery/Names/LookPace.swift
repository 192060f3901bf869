/// When a name is asked again, and with which name server first. A value; the clock and the waiting are the resolver's.
///
/// A look is one round of questions about a name. Looks start at least ``Bounds/minTTL`` apart (nine tenths of it, by
/// the jitter), with two exceptions: a refresh, which has a gap of its own, and up to ``fills`` looks at a set of which
/// only a part is known and whose TTL is zero, since no cache holds that.
struct LookPace: Sendable {
    /// The clamps of the TTL.
    struct Bounds: Sendable {
        var minTTL: Duration
        var maxTTL: Duration
    }

    /// How the look before went.
    enum Condition: Sendable {
        case good(Good)
        /// - Parameters:
        ///   - looks: that have failed in a row, this one included.
        ///   - negativeTTL: how long the server said that there is none.
        case failing(looks: Int, negativeTTL: Duration?)
    }

    struct Good: Sendable {
        /// As the server gave it.
        var ttl: Duration
        /// Whether the next look says nothing new before the TTL is over: then the jitter only adds to it.
        var waitsForTTL = false
        /// Whether the answer was cut, so that there may be more endpoints than are known.
        var isCut = false
        /// Which part of the whole is known; nil while nobody can tell.
        var share: Double? = 1
        /// Whether the set is another one than before, and not only better known.
        var hasChanged = false
    }

    /// Looks in one go at a set that is not complete.
    static let fills = 16
    /// From this share on a set counts as complete.
    static let completeShare = 0.99
    /// The pause after the first failure in a row; it doubles up to ``longestPause``.
    static let firstPause: Duration = .seconds(1)
    static let longestPause: Duration = .seconds(30)
    /// After a failure a refresh shortens the pause to this at best.
    static let refreshPause: Duration = .seconds(5)
    /// A cache may round; at this distance its TTL is over.
    private static let margin: Duration = .milliseconds(50)
    /// Between looks that fill a set whose TTL is zero.
    private static let shortestFill: Duration = .milliseconds(200)

    /// How far the order of the name servers is turned for the next look.
    private(set) var firstServer = 0
    private var fillsLeft = Self.fills

    /// - Returns: how long to wait before the next look; jittered, so that the proxies of a fleet do not ask in step.
    mutating func pause(
        after condition: Condition, within bounds: Bounds, using random: inout some RandomNumberGenerator
    ) -> Duration {
        let longest = max(bounds.minTTL, bounds.maxTTL)
        switch condition {
        case .failing(let looks, let negativeTTL):
            let doublings = min(max(looks - 1, 0), 16)
            let backOff = min(Self.firstPause * (1 << doublings), Self.longestPause)
            return max(backOff * Double.random(in: 0.9...1.1, using: &random), min(negativeTTL ?? .zero, longest))
        case .good(let good):
            let isFilling = takeFill(good)
            firstServer = isFilling ? firstServer + 1 : 0
            if isFilling, good.ttl <= .zero {
                return Self.shortestFill * Double.random(in: 1...1.1, using: &random)
            }
            let base = max(min(good.ttl, longest), bounds.minTTL)
            guard good.isCut || good.waitsForTTL else { return base * Double.random(in: 0.9...1.1, using: &random) }
            return (base + Self.margin) * Double.random(in: 1...1.1, using: &random)
        }
    }

    /// How long after the start of a look a refresh may begin the next one.
    ///
    /// Calls to a cluster without endpoints ask for a refresh each. So a name that fails would be asked for as often as
    /// refreshes are allowed, for ever; the back-off and the server's negative TTL hold against them too.
    /// - Parameter pause: what ``pause(after:within:using:)`` said.
    static func refreshGap(after condition: Condition, pause: Duration, within bounds: Bounds) -> Duration {
        switch condition {
        case .good:
            return NameResolver.minimumGap
        case .failing(_, let negativeTTL):
            let negative = min(negativeTTL ?? .zero, max(bounds.minTTL, bounds.maxTTL))
            return max(NameResolver.minimumGap, min(pause, refreshPause), negative)
        }
    }

    /// Whether the next look is one of those that fill a set. A run of them is not made longer by what it finds.
    private mutating func takeFill(_ good: Good) -> Bool {
        if fillsLeft == 0, good.hasChanged { fillsLeft = Self.fills }
        guard good.isCut else { return false }
        if let share = good.share, share >= Self.completeShare {
            // The next change deserves a whole run.
            fillsLeft = 0
            return false
        }
        guard fillsLeft > 0 else { return false }
        fillsLeft -= 1
        return true
    }
}
