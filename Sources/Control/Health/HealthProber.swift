import NIOCore
import Policy

/// What a prober has to tell.
enum ProberWord {
    /// What came of ``HealthProber/ask()``.
    case answer(HealthResult)
    /// The endpoint said it of itself, asked or not.
    case statement(HealthResult)
    /// A stream that should have stayed open did not, asked or not.
    case broken(HealthResult)
}

/// A way to ask one endpoint whether it is well. Confined to the loop of the checks.
protocol HealthProber: AnyObject {
    /// Asks once. What came of it is told in one word, perhaps at once. To be called again only when that was told or
    /// abandoned.
    func ask()
    /// Gives up what was asked, and the connection it was asked on: nothing more is told of it.
    func abandon()
    /// Closes what is open and tells nothing any more.
    func close()
}

/// Where an endpoint is and what a prober needs to get there.
struct ProbeTarget {
    /// `10.0.0.3:50051`: what the task is called in requests.
    let authority: String
    /// Nil for an address that is none.
    let address: SocketAddress?
    /// Of a connect, and of one check as a whole.
    let timeout: Duration
    let eventLoop: any EventLoop

    init(_ endpoint: Endpoint, timeout: Duration, eventLoop: any EventLoop) {
        authority = endpoint.name
        address = try? SocketAddress(ipAddress: endpoint.address.host, port: endpoint.address.port)
        self.timeout = timeout
        self.eventLoop = eventLoop
    }

    var connectTimeout: TimeAmount { .nanoseconds(max(timeout.nanoseconds, 1)) }

    /// - Parameter tell: never called again after ``HealthProber/close()``.
    func prober(for probe: HealthProbe, tell: @escaping (ProberWord) -> Void) -> any HealthProber {
        switch probe {
        case .grpc(let service, watch: false):
            RPCProber(HealthLink(self), service: service, tell: tell)
        case .grpc(let service, watch: true):
            WatchProber(HealthLink(self), service: service, tell: tell)
        case .http(let path, let statuses, .http2):
            HTTP2Prober(HealthLink(self), path: path, statuses: statuses, tell: tell)
        case .http(let path, let statuses, .http1):
            HTTP1Prober(self, path: path, statuses: statuses, tell: tell)
        case .tcp:
            TCPProber(self, tell: tell)
        }
    }
}
