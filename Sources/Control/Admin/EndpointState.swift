import Policy

/// What the balancer does with an endpoint now, in the words of `/clusters` and `/metrics`.
enum EndpointState: String, CaseIterable {
    case ready
    /// No connection could be made, and none was since; passed over while another endpoint is left.
    case unreachable

    init(of endpoint: Endpoint) {
        self = endpoint.isUnreachable ? .unreachable : .ready
    }
}

extension Duration {
    /// Seconds to the millisecond, which is as exact as anybody reads them.
    var inSeconds: Double { (self / .milliseconds(1)).rounded() / 1_000 }
}
