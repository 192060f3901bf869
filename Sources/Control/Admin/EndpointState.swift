import Policy

/// What the balancer does with an endpoint now, in the words of `/clusters` and `/metrics`. All but the ready ones are
/// passed over while another endpoint is left.
enum EndpointState: String, CaseIterable {
    case ready
    /// No connection could be made, and none was since.
    case unreachable
    /// Its health checks fail.
    case unhealthy
    /// It has answered badly.
    case ejected
    /// Its first health check has no result yet.
    case pending

    /// What weighs most where there is more than one reason to pass the endpoint over.
    init(of endpoint: Endpoint) {
        let health = endpoint.health.current
        self =
            if endpoint.isUnreachable {
                .unreachable
            } else if health == .unhealthy {
                .unhealthy
            } else if endpoint.outlier.isEjected {
                .ejected
            } else if health == .pending {
                .pending
            } else {
                .ready
            }
    }
}

extension EndpointHealth.State {
    /// In the words of `/clusters`.
    var word: String {
        switch self {
        case .unchecked: "unchecked"
        case .pending: "pending"
        case .healthy: "healthy"
        case .unhealthy: "unhealthy"
        }
    }
}

extension Duration {
    /// Seconds to the millisecond, which is as exact as anybody reads them.
    var inSeconds: Double { (self / .milliseconds(1)).rounded() / 1_000 }
}
