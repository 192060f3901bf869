import NIOCore
import NIOHTTP1
import NIOPosix
import Policy

/// A connection that is accepted is all it takes.
final class TCPProber: HealthProber {
    private let target: ProbeTarget
    private var tell: ((ProberWord) -> Void)?
    /// Tells the connect that is waited for from those that were abandoned.
    private var attempt = 0

    init(_ target: ProbeTarget, tell: @escaping (ProberWord) -> Void) {
        self.target = target
        self.tell = tell
    }

    func ask() {
        guard let address = target.address else {
            tell?(.answer(.failed("not an address")))
            return
        }
        attempt += 1
        let attempt = attempt
        let bound = NIOLoopBound(self, eventLoop: target.eventLoop)
        ClientBootstrap(group: target.eventLoop)
            .connectTimeout(target.connectTimeout)
            .connect(to: address)
            .whenComplete { result in
                switch result {
                case .success(let channel):
                    channel.close(promise: nil)
                    bound.value.end(attempt, .passed)
                case .failure(let error):
                    bound.value.end(attempt, ProbeErrors.result(error))
                }
            }
    }

    private func end(_ attempt: Int, _ result: HealthResult) {
        if attempt == self.attempt { tell?(.answer(result)) }
    }

    func abandon() {
        attempt += 1
    }

    func close() {
        attempt += 1
        tell = nil
    }
}

/// A GET over HTTP/1.1, each on a connection of its own. The response's head is the answer.
final class HTTP1Prober: HealthProber {
    private let target: ProbeTarget
    private let path: String
    private let statuses: ClosedRange<Int>
    private var tell: ((ProberWord) -> Void)?
    private var request: HTTP1Request?

    init(
        _ target: ProbeTarget, path: String, statuses: ClosedRange<Int>, tell: @escaping (ProberWord) -> Void
    ) {
        self.target = target
        self.path = path
        self.statuses = statuses
        self.tell = tell
    }

    func ask() {
        let statuses = statuses
        let request = HTTP1Request(path: path, authority: target.authority) { [weak self] answer in
            self?.request = nil
            switch answer {
            case .status(let status): self?.tell?(.answer(HealthResult(httpStatus: status, expected: statuses)))
            case .none(let result): self?.tell?(.answer(result))
            }
        }
        self.request = request
        request.connect(to: target)
    }

    func abandon() {
        request?.abandon()
        request = nil
    }

    func close() {
        tell = nil
        abandon()
    }
}

/// One request on a connection of its own. Confined to the loop of the checks.
private final class HTTP1Request: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    enum Answer {
        case status(Int)
        case none(HealthResult)
    }

    private let path: String
    private let authority: String
    private var tell: ((Answer) -> Void)?
    private var context: ChannelHandlerContext?

    init(path: String, authority: String, tell: @escaping (Answer) -> Void) {
        self.path = path
        self.authority = authority
        self.tell = tell
    }

    func connect(to target: ProbeTarget) {
        guard let address = target.address else { return end(.none(.failed("not an address"))) }
        let bound = NIOLoopBound(self, eventLoop: target.eventLoop)
        ClientBootstrap(group: target.eventLoop)
            .connectTimeout(target.connectTimeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(bound.value)
                }
            }
            .connect(to: address)
            .whenFailure { bound.value.end(.none(ProbeErrors.result($0))) }
    }

    /// Nothing more is told.
    func abandon() {
        tell = nil
        context?.close(promise: nil)
    }

    private func end(_ answer: Answer) {
        let tell = tell
        self.tell = nil
        tell?(answer)
        context?.close(promise: nil)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        let headers: HTTPHeaders = ["host": authority, "user-agent": "ekiden", "accept": "*/*", "connection": "close"]
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: path, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .head(let head) = unwrapInboundIn(data) { end(.status(Int(head.status.code))) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(.none(error is HTTPParserError ? .failed("no HTTP/1.1") : ProbeErrors.result(error)))
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(.none(.failed("connection closed without an answer")))
    }
}
