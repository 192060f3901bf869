import NIOCore
import Policy

/// What the balancer does with an endpoint now, in the words of `/clusters` and `/metrics`.
enum EndpointState: String, CaseIterable {
    case ready
    /// In the pause after a connect failure; passed over while another endpoint is left.
    case coolingDown = "cooling_down"

    init(of endpoint: Endpoint, now: NIODeadline) {
        self = endpoint.isCoolingDown(now: Int64(bitPattern: now.uptimeNanoseconds)) ? .coolingDown : .ready
    }
}

extension Duration {
    /// Seconds to the millisecond, which is as exact as anybody reads them.
    var inSeconds: Double { (self / .milliseconds(1)).rounded() / 1_000 }
}
