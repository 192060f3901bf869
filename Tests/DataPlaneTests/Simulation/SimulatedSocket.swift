import NIOCore

@testable import DataPlane

/// The proxy's end of a link, as NIO's sockets behave: writes are taken until a mark and beyond, and a channel that
/// was closed says so once.
final class SimulatedSocket: Channel, ChannelCore, @unchecked Sendable {
    let loop: SimulationLoop
    private(set) var link: Link?
    private lazy var ownPipeline = ChannelPipeline(channel: self)
    private let closePromise: EventLoopPromise<Void>
    private(set) var isActive = false
    private(set) var isWritable = true
    private var isClosed = false
    private var pending: [ByteBuffer] = []
    /// Bytes that wait, above which the channel is not writable and below which it is again.
    private let marks: (low: Int, high: Int)

    init(loop: SimulationLoop, link: Link, chance: Chance) {
        self.loop = loop
        self.link = link
        closePromise = loop.makePromise()
        marks = chance.pick([(1, 1), (512, 2_048), (16_384, 65_536), (65_536, 262_144)])
    }

    // MARK: From the network

    /// The connection is there.
    func activate() {
        guard !isClosed else { return }
        isActive = true
        pipeline.syncOperations.fireChannelActive()
    }

    func receive(_ buffer: ByteBuffer) {
        guard isActive else { return }
        pipeline.syncOperations.fireChannelRead(NIOAny(buffer))
        pipeline.syncOperations.fireChannelReadComplete()
    }

    func receiveEnd() {
        if isActive { shut() }
    }

    func fail(_ error: any Error) {
        guard isActive else { return }
        pipeline.syncOperations.fireErrorCaught(error)
        if isActive { shut() }
    }

    /// Bytes have left.
    func drained() {
        guard isActive, !isWritable, (link?.toPeer.queued ?? 0) < marks.low else { return }
        isWritable = true
        pipeline.syncOperations.fireChannelWritabilityChanged()
    }

    /// What the kernel knows of the way to the peer.
    var facts: KernelFacts? {
        guard let pipe = link?.toPeer else { return nil }
        // A reader that does not read has its kernel acknowledge and close the window.
        let isOnItsWay = pipe.queued > 0 && (pipe.isDark || !pipe.isStalled)
        return KernelFacts(
            unacknowledged: isOnItsWay ? 1 : 0, sinceAcknowledgement: loop.time - pipe.lastDeliveryAt,
            isBlocked: !isWritable)
    }

    /// A connect that failed: the handlers go, as NIO has it, in the next turn.
    func abandon() {
        isClosed = true
        link = nil
        loop.soon { [self] in
            removeHandlers(pipeline: pipeline)
            closePromise.succeed()
        }
    }

    private func shut() {
        isClosed = true
        isActive = false
        let link = self.link
        self.link = nil
        link?.proxyClosed()
        pipeline.syncOperations.fireChannelInactive()
        pipeline.syncOperations.fireChannelUnregistered()
        loop.soon { [self] in
            removeHandlers(pipeline: pipeline)
            closePromise.succeed()
        }
    }

    // MARK: ChannelCore

    func write0(_ data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard isActive else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        let buffer = unwrapData(data, as: ByteBuffer.self)
        pending.append(buffer)
        promise?.succeed()
    }

    func flush0() {
        guard isActive, let pipe = link?.toPeer else { return }
        for buffer in pending { pipe.write(buffer) }
        pending.removeAll(keepingCapacity: true)
        if isWritable, pipe.queued > marks.high {
            isWritable = false
            pipeline.syncOperations.fireChannelWritabilityChanged()
        }
    }

    func close0(error: any Error, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard !isClosed else {
            promise?.fail(ChannelError.alreadyClosed)
            return
        }
        switch mode {
        case .all: shut()
        case .output: link?.toPeer.end()
        case .input: break
        }
        promise?.succeed()
    }

    func register0(promise: EventLoopPromise<Void>?) {
        promise?.succeed()
        pipeline.syncOperations.fireChannelRegistered()
    }

    func localAddress0() throws -> SocketAddress { throw ChannelError.operationUnsupported }
    func remoteAddress0() throws -> SocketAddress { throw ChannelError.operationUnsupported }
    func bind0(to: SocketAddress, promise: EventLoopPromise<Void>?) { promise?.fail(ChannelError.operationUnsupported) }
    func connect0(to: SocketAddress, promise: EventLoopPromise<Void>?) {
        promise?.fail(ChannelError.operationUnsupported)
    }
    func read0() {}
    func triggerUserOutboundEvent0(_ event: Any, promise: EventLoopPromise<Void>?) {
        promise?.fail(ChannelError.operationUnsupported)
    }
    func channelRead0(_ data: NIOAny) {}
    func errorCaught0(error: any Error) {}

    // MARK: Channel

    var allocator: ByteBufferAllocator { ByteBufferAllocator() }
    var closeFuture: EventLoopFuture<Void> { closePromise.futureResult }
    var pipeline: ChannelPipeline { ownPipeline }
    var localAddress: SocketAddress? { nil }
    var remoteAddress: SocketAddress? { nil }
    var parent: (any Channel)? { nil }
    var _channelCore: any ChannelCore { self }
    var eventLoop: any EventLoop { loop }

    func setOption<Option: ChannelOption>(_ option: Option, value: Option.Value) -> EventLoopFuture<Void> {
        loop.makeFailedFuture(ChannelError.operationUnsupported)
    }

    func getOption<Option: ChannelOption>(_ option: Option) -> EventLoopFuture<Option.Value> {
        loop.makeFailedFuture(ChannelError.operationUnsupported)
    }
}
