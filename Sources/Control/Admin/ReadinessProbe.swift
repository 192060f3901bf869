package import NIOCore
import NIOPosix
package import Policy

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Asks the admin server of a running Ekiden whether it is ready; what `ekiden healthcheck` does.
///
/// A bare socket and one request: it runs every few seconds in a container and has to start in no time.
package struct ReadinessProbe: Sendable {
    private let address: ListenAddress
    private let timeout: Duration

    /// More than any reason list; who sends more is not Ekiden.
    private static let maxAnswerBytes = 65_536

    /// - Parameters:
    ///   - address: where the admin server listens; a wildcard is asked at the loopback address.
    ///   - timeout: for connecting and answering together.
    package init(admin address: ListenAddress, timeout: Duration) {
        self.address = address.reachable
        self.timeout = timeout
    }

    /// How it went.
    package enum Verdict: Sendable, Equatable, CustomStringConvertible {
        case ready
        /// With the server's own reasons, or why there is no answer.
        case failed(String)

        package var isReady: Bool { self == .ready }

        /// One line: `OK: ready`, `FAIL: draining`.
        package var description: String {
            switch self {
            case .ready: "OK: ready"
            case .failed(let reason): "FAIL: \(reason)"
            }
        }
    }

    /// Sends one request and reads the answer.
    package func ask(on eventLoop: any EventLoop) async -> Verdict {
        do {
            return verdict(on: try await exchange(on: eventLoop))
        } catch is TimedOut {
            return .failed("no answer from \(address) within \(timeout.configurationText)")
        } catch is TooLong {
            return .failed("\(address) is not an admin server of Ekiden: its answer has no end")
        } catch let error as IOError {
            return .failed("cannot connect to \(address): \(Self.text(error))")
        } catch {
            return .failed("cannot connect to \(address): \(error)")
        }
    }

    private struct TimedOut: Error {}
    private struct TooLong: Error {}

    private func exchange(on eventLoop: any EventLoop) async throws -> String {
        let answer = eventLoop.makePromise(of: String.self)
        let limit = TimeAmount(timeout)
        let deadline = eventLoop.scheduleTask(in: limit) { answer.fail(TimedOut()) }
        defer { deadline.cancel() }
        let channel: any Channel
        do {
            channel = try await ClientBootstrap(group: eventLoop)
                .connectTimeout(limit)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(AnswerReader(answer))
                    }
                }
                .connect(to: socketAddress).get()
        } catch {
            answer.fail(error)
            if case .connectTimeout? = error as? ChannelError { throw TimedOut() }
            throw error
        }
        defer { channel.close(promise: nil) }
        let request = "GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        channel.writeAndFlush(ByteBuffer(string: request), promise: nil)
        return try await answer.futureResult.get()
    }

    private var socketAddress: SocketAddress {
        get throws {
            switch address {
            case .ip(let host, let port): try SocketAddress(ipAddress: host, port: port)
            case .unix(let path): try SocketAddress(unixDomainSocketPath: path)
            }
        }
    }

    /// Reads status line and body (RFC 9112); the end of the connection is the end of the body.
    private func verdict(on answer: String) -> Verdict {
        let lines = answer.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        let statusLine = (lines.first ?? "").split(separator: " ", maxSplits: 2)
        guard statusLine.count >= 2, statusLine[0].hasPrefix("HTTP/1."), let status = Int(statusLine[1]) else {
            let found = answer.isEmpty ? "no answer" : "no HTTP/1.1"
            return .failed("\(address) is not an admin server of Ekiden: \(found)")
        }
        switch status {
        case 200:
            return .ready
        case 503:
            let reasons = lines.drop { !$0.isEmpty }.filter { !$0.isEmpty }.map { printable(String($0)) }
            return .failed(reasons.isEmpty ? "not ready" : reasons.joined(separator: "; "))
        default:
            return .failed("\(address) answered \(status) for /ready: not an admin server of Ekiden?")
        }
    }

    private static func text(_ error: IOError) -> String {
        switch error.errnoCode {
        case ECONNREFUSED: "connection refused"
        case ECONNRESET: "connection reset"
        case ENOENT: "there is no such socket"
        case EACCES: "not permitted"
        default: "\(error)"
        }
    }

    /// Collects what comes until the peer closes.
    private final class AnswerReader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let answer: EventLoopPromise<String>
        private var bytes = ByteBuffer()

        init(_ answer: EventLoopPromise<String>) {
            self.answer = answer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            bytes.writeImmutableBuffer(unwrapInboundIn(data))
            if bytes.readableBytes > ReadinessProbe.maxAnswerBytes { answer.fail(TooLong()) }
        }

        func channelInactive(context: ChannelHandlerContext) {
            answer.succeed(String(buffer: bytes))
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            answer.fail(error)
            context.close(promise: nil)
        }
    }
}

extension ListenAddress {
    /// Where a process of this machine connects to: the loopback address for a wildcard.
    fileprivate var reachable: ListenAddress {
        switch self {
        case .ip("0.0.0.0", let port): .ip(host: "127.0.0.1", port: port)
        case .ip("::", let port): .ip(host: "::1", port: port)
        case .ip, .unix: self
        }
    }
}
