/// What a route does with its exchanges, compiled: looked at by every worker, shared by all.
package final class RoutePlan: Sendable {
    package let settings: RouteSettings
    /// What the route admits per second; nil where it has no limit.
    package let limiter: RouteLimiter?

    /// Whether a response has to be looked at before it is passed on.
    package let readsStatuses: Bool
    private let hedgesAll: Bool
    private let retryReadsTrailers: Bool
    private let hedgingReadsTrailers: Bool

    package init(_ settings: RouteSettings) {
        self.settings = settings
        readsStatuses = settings.retry.readsStatuses || settings.hedging != nil
        hedgesAll = settings.hedging != nil && settings.idempotent == .none
        retryReadsTrailers = !settings.retry.grpcStatuses.isEmpty
        hedgingReadsTrailers = settings.hedging?.nonFatalStatuses.isEmpty == false
        limiter = settings.rateLimit.map { RouteLimiter($0) }
    }

    /// The time limit of an exchange whose caller sets none; see ``RouteSettings``. Here, since a copy of the settings
    /// would count references that all workers share.
    package func timeout(ofCluster cluster: Duration?, isGRPC: Bool) -> Duration? {
        settings.timeout(ofCluster: cluster, isGRPC: isGRPC)
    }

    /// Whether the call may run twice.
    /// - Parameter path: of the request: `/package.Service/Method`.
    package func isIdempotent(_ path: Span<UInt8>) -> Bool {
        switch settings.idempotent {
        case .none: false
        case .all: true
        case .methods(let methods): methods.contains { Self.names($0, path) }
        }
    }

    /// Whether `Method` or `package.Service/Method` is the end of the path, from a slash on.
    private static func names(_ method: String, _ path: Span<UInt8>) -> Bool {
        let name = method.utf8.span
        let start = path.count - name.count
        guard start >= 1, path[start - 1] == UInt8(ascii: "/") else { return false }
        for index in 0..<name.count where path[start + index] != name[index] { return false }
        return true
    }

    /// Whether the route hedges a call. One that names the calls which may run twice hedges no others.
    package func hedges(isIdempotent: Bool) -> Bool {
        hedgesAll || isIdempotent && settings.hedging != nil
    }

    /// Whether what trailers say may lead to another attempt, so that a head waits for them.
    package func awaitsTrailers(isHedged: Bool) -> Bool {
        isHedged ? hedgingReadsTrailers : retryReadsTrailers
    }

    /// Whether an attempt that came out so may be followed by, or left to, another one.
    package func mayRetry(_ result: AttemptResult, isIdempotent: Bool, isHedged: Bool) -> Bool {
        if isHedged, let hedging = settings.hedging { return hedging.isNonFatal(result) }
        return settings.retry.covers(result, isIdempotent: isIdempotent)
    }

    /// Of routes without settings of their own.
    package static let plain = RoutePlan(RouteSettings())
}

extension RoutePlan: Equatable {
    /// Whether both do the same.
    package static func == (first: RoutePlan, second: RoutePlan) -> Bool {
        first === second || first.settings == second.settings
    }
}
