/// How the endpoints of a cluster are asked whether they are well.
package struct HealthCheckSettings: Sendable, Equatable {
    package var probe: HealthProbe = .grpc(service: "", watch: false)
    package var interval: Duration = .seconds(10)
    /// In the configuration the interval where that is shorter and nothing is written.
    package var timeout: Duration = .seconds(1)
    /// Each interval is lengthened or shortened by a random part of it, up to this share (0...1).
    package var jitter = 0.1
    /// Checks in a row that make an endpoint well, or ill. The very first check decides alone.
    package var healthyThreshold = 2
    package var unhealthyThreshold = 3

    package init() {}
}

/// What one check asks.
package enum HealthProbe: Sendable, Equatable {
    /// grpc.health.v1: `Check`, or with `watch` one `Watch` stream that stays open. UNIMPLEMENTED means alive.
    case grpc(service: String, watch: Bool)
    /// A GET that must be answered with one of these statuses; over HTTP/2 with prior knowledge, or HTTP/1.1.
    case http(path: String, statuses: ClosedRange<Int>, version: HTTPVersion)
    /// A connection that is accepted.
    case tcp

    package enum HTTPVersion: String, Sendable, CaseIterable {
        case http1 = "http/1.1"
        case http2 = "http/2"
    }
}
