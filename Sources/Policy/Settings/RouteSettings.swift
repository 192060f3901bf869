/// What a route does with its exchanges beside choosing the cluster.
package struct RouteSettings: Sendable, Equatable {
    /// The deadline of exchanges whose caller sends none.
    package var timeout = RouteTimeout.cluster
    /// No exchange of the route has a later deadline, whatever its caller asks for; nil for no such limit.
    package var maxDeadline: Duration?
    /// How long one attempt may take until its response's head; nil for as long as the exchange has.
    package var perTryTimeout: Duration?
    /// An exchange on which nothing moves in either direction for this long ends; nil lets it live.
    package var idleTimeout: Duration?
    package var retry = RetryPolicy()
    package var hedging: HedgingPolicy?
    /// Which calls may run twice.
    package var idempotent = IdempotentCalls.none
    package var rateLimit: RateLimitSettings?
    package var fault: FaultPolicy?
    /// Only endpoints that have all these attributes are chosen; empty for all.
    package var subset: [String: String] = [:]

    package init() {}

    /// The time limit of an exchange whose caller sets none.
    /// - Parameter cluster: the cluster's `timeout`.
    @inline(__always)
    package func timeout(ofCluster cluster: Duration?, isGRPC: Bool) -> Duration? {
        switch timeout {
        case .cluster: cluster ?? (isGRPC ? nil : RouteTimeout.defaultHTTP)
        case .none: nil
        case .after(let limit): limit
        }
    }
}

/// Where an exchange without a deadline of its own gets one from.
package enum RouteTimeout: Sendable, Equatable {
    /// The cluster's `timeout`; without one, none for gRPC and ``defaultHTTP`` for everything else.
    case cluster
    case none
    case after(Duration)

    package static let defaultHTTP: Duration = .seconds(30)
}

/// The calls of a route that may run twice, so that one of unknown fate may be repeated.
package enum IdempotentCalls: Sendable, Equatable {
    case none
    case all
    /// Methods of gRPC services: `Get` on any service of the route, or `package.Service/Get`.
    case methods([String])
}
