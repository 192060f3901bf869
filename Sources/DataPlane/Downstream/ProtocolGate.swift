import NIOCore

/// Stands in front of a new connection until its first bytes tell what it speaks, then leaves the pipeline.
///
/// HTTP/2 with prior knowledge (RFC 9113, 3.3) goes on; HTTP/1.x gets a 505 with a sentence, a TLS ClientHello an
/// alert, and anything else the GOAWAY of a session that never began. Nobody is left hanging: the listener's preface
/// timeout covers those who say nothing.
final class ProtocolGate: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Refusal {
        case http1, tls, other
    }

    private let didRefuse: (Refusal) -> Void
    private var bytes = ByteBuffer()
    private var isRefused = false

    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    /// Bytes of a request line that are looked at before it is called something else.
    private static let requestLineMax = 8_192
    private static let tlsHandshake: UInt8 = 0x16
    private static let lingerTime = TimeAmount.seconds(1)

    init(didRefuse: @escaping (Refusal) -> Void) {
        self.didRefuse = didRefuse
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        if isRefused { return }
        if bytes.readableBytes == 0 {
            bytes = buffer
        } else {
            bytes.writeBuffer(&buffer)
        }
        let view = bytes.readableBytesView
        if view.starts(with: Self.preface.prefix(view.count)) {
            // Up to here it is the preface; the session checks the rest of it.
            if view.count >= Self.preface.count { pass(context) }
        } else if view.first == Self.tlsHandshake {
            // A fatal alert, protocol_version (RFC 8446, 6.2): the client says at once what is wrong.
            refuse(context, .tls, with: ByteBuffer(bytes: [0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 70]))
        } else if let end = view.firstIndex(of: UInt8(ascii: "\n")) {
            if isHTTP1(view[..<end]) {
                refuse(context, .http1, with: ByteBuffer(string: Self.http1Answer))
            } else {
                refuse(context, .other, with: Self.goAway)
            }
        } else if !looksLikeText(view) || view.count > Self.requestLineMax {
            refuse(context, .other, with: Self.goAway)
        }
    }

    private func pass(_ context: ChannelHandlerContext) {
        let buffer = bytes
        bytes = ByteBuffer()
        context.fireChannelRead(wrapInboundOut(buffer))
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }

    /// Says why, then reads on a little so that the client's unread bytes do not turn the close into a TCP reset.
    private func refuse(_ context: ChannelHandlerContext, _ refusal: Refusal, with answer: ByteBuffer) {
        isRefused = true
        bytes = ByteBuffer()
        didRefuse(refusal)
        context.writeAndFlush(wrapOutboundOut(answer), promise: nil)
        context.close(mode: .output, promise: nil)
        let channel = context.channel
        context.eventLoop.scheduleTask(in: Self.lingerTime) { channel.close(promise: nil) }
    }

    private func isHTTP1(_ line: ByteBufferView) -> Bool {
        let text = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
        return text.suffix(9).starts(with: " HTTP/1.".utf8)
    }

    private func looksLikeText(_ bytes: ByteBufferView) -> Bool {
        bytes.prefix(16).allSatisfy { $0 >= 0x20 && $0 < 0x7f || $0 == 0x0d || $0 == 0x0a }
    }

    private static let http1Body =
        "This port speaks HTTP/2 with prior knowledge (h2c) only: use a gRPC client, "
        + "or curl --http2-prior-knowledge.\n"
    private static let http1Answer =
        "HTTP/1.1 505 HTTP Version Not Supported\r\ncontent-type: text/plain\r\nconnection: close\r\n"
        + "content-length: \(http1Body.utf8.count)\r\n\r\n\(http1Body)"
    /// SETTINGS (empty), then GOAWAY: last stream 0, PROTOCOL_ERROR.
    private static let goAway = ByteBuffer(
        bytes: [0, 0, 0, 4, 0, 0, 0, 0, 0] + [0, 0, 8, 7, 0, 0, 0, 0, 0] + [0, 0, 0, 0, 0, 0, 0, 1])
}
