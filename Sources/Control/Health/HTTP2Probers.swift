import Policy

/// Asks `grpc.health.v1.Health/Check` on a connection that is kept.
final class RPCProber: HealthProber {
    private let link: HealthLink
    private let service: String
    private var tell: ((ProberWord) -> Void)?

    init(_ link: HealthLink, service: String, tell: @escaping (ProberWord) -> Void) {
        self.link = link
        self.service = service
        self.tell = tell
    }

    func ask() {
        link.ask(.check(service: service, timeout: link.target.timeout)) { [weak self] call, event in
            if case .ended(let ending) = event { self?.tell?(.answer(call.result(ending))) }
        }
    }

    func abandon() {
        link.drop()
    }

    func close() {
        tell = nil
        link.drop()
    }
}

/// A GET over HTTP/2 with prior knowledge, on a connection that is kept. The response's head is the answer; that of a
/// gRPC server, which answers 200 whatever happens, together with its status.
final class HTTP2Prober: HealthProber {
    private let link: HealthLink
    private let path: String
    private let statuses: ClosedRange<Int>
    private var tell: ((ProberWord) -> Void)?

    init(
        _ link: HealthLink, path: String, statuses: ClosedRange<Int>, tell: @escaping (ProberWord) -> Void
    ) {
        self.link = link
        self.path = path
        self.statuses = statuses
        self.tell = tell
    }

    func ask() {
        link.ask(.get(path: path)) { [weak self] call, event in
            switch event {
            case .head where call.isGRPC && call.grpcStatus == nil: break
            case .head: self?.take(call)
            case .data: break
            case .ended(.lost(HealthConnection.speaksOldHTTP)):
                self?.tell?(.answer(.failed("the task speaks HTTP/1.1: set http_version: http/1.1")))
            case .ended(.lost(let result)): self?.tell?(.answer(result))
            case .ended(.complete) where call.grpcStatus != nil: self?.take(call)
            case .ended(.reset(let code)): self?.tell?(.answer(.failed("stream reset: \(code)")))
            case .ended(.complete): self?.tell?(.answer(.failed("no answer")))
            }
        }
    }

    private func take(_ call: HealthCall) {
        // Nobody reads the page.
        link.cancel(call)
        let result = HealthResult(httpStatus: call.httpStatus ?? 0, expected: statuses)
        if result == .passed, let status = call.grpcStatus, status != 0 {
            tell?(.answer(.failed(GRPCStatus(rawValue: status)?.name ?? "unknown gRPC status")))
        } else {
            tell?(.answer(result))
        }
    }

    func abandon() {
        link.drop()
    }

    func close() {
        tell = nil
        link.drop()
    }
}

extension HealthResult {
    init(httpStatus status: Int, expected: ClosedRange<Int>) {
        self = expected.contains(status) ? .passed : .failed("HTTP status \(status)")
    }
}
