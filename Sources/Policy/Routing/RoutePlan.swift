/// What a route does with its exchanges, compiled: looked at by every worker, shared by all.
package final class RoutePlan: Sendable {
    package let settings: RouteSettings
    /// What the route admits per second; nil where it has no limit.
    package let limiter: RouteLimiter?

    package init(_ settings: RouteSettings) {
        self.settings = settings
        limiter = settings.rateLimit.map { RouteLimiter($0) }
    }

    /// Of routes without settings of their own.
    package static let plain = RoutePlan(RouteSettings())
}
