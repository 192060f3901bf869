import NIOCore
import NIOPosix
import Policy

@testable import DataPlane

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// One connection, and what lies between its ends.
final class Link {
    let toPeer: Pipe
    let toProxy: Pipe
    private let network: SimulatedNetwork
    /// The proxy's end, until it is closed there.
    private(set) var socket: SimulatedSocket?
    /// The other end, until it is closed there.
    private(set) var peer: SimulatedPeer?

    init(network: SimulatedNetwork) {
        self.network = network
        toPeer = Pipe(loop: network.loop, chance: network.chance)
        toProxy = Pipe(loop: network.loop, chance: network.chance)
        let socket = SimulatedSocket(loop: network.loop, link: self, chance: network.chance)
        self.socket = socket
        toProxy.arrived = { [unowned self] in arrivedAtProxy($0) }
        toProxy.drained = { [unowned self] in peer?.drained() }
        toPeer.arrived = { [unowned self] in arrivedAtPeer($0) }
        toPeer.drained = { [unowned self] in self.socket?.drained() }
    }

    func attach(_ peer: SimulatedPeer) {
        self.peer = peer
    }

    private func arrivedAtProxy(_ arrival: Pipe.Arrival) {
        switch arrival {
        case .bytes(let pieces):
            guard let socket else {
                // Nobody is there to read: the kernel says so.
                toPeer.reset()
                return
            }
            var all = pieces[0].buffer
            for index in pieces.indices.dropFirst() {
                var piece = pieces[index].buffer
                all.writeBuffer(&piece)
            }
            socket.receive(all)
        case .end:
            socket?.receiveEnd()
        case .reset:
            socket?.fail(IOError(errnoCode: ECONNRESET, reason: "read"))
        }
        network.forgetIfOver(self)
    }

    private func arrivedAtPeer(_ arrival: Pipe.Arrival) {
        switch arrival {
        case .bytes(let pieces):
            guard let peer else {
                toProxy.reset()
                return
            }
            peer.receive(pieces)
        case .end, .reset:
            let peer = self.peer
            self.peer = nil
            if let peer {
                if case .end = arrival { toProxy.end() }
                peer.linkEnded()
            }
        }
        network.forgetIfOver(self)
    }

    /// The proxy closed its end. What its kernel has taken still arrives, unless bytes of the peer's were not read.
    func proxyClosed() {
        socket = nil
        if toPeer.queued > toPeer.capacity || toProxy.queued > 0 && network.chance.hits(50) {
            toPeer.reset()
        } else {
            toPeer.end()
        }
    }

    /// The peer closes its end: in order, or with a reset that loses what is on its way.
    func peerCloses(abruptly: Bool) {
        guard let peer else { return }
        self.peer = nil
        if abruptly { toProxy.reset() } else { toProxy.end() }
        peer.linkEnded()
    }

    /// Whether the host at the other end is cut off.
    var isDark = false {
        didSet {
            toPeer.isDark = isDark
            toProxy.isDark = isDark
        }
    }

    var isOver: Bool { socket == nil && peer == nil }
}

/// All links, and where tasks listen.
final class SimulatedNetwork {
    let loop: SimulationLoop
    let chance: Chance
    private(set) var links: [Link] = []
    /// By port.
    private(set) var hosts: [Int: SimulatedHost] = [:]
    /// What the listener does with a connection.
    var accept: (SimulatedSocket) -> Void = { _ in }
    /// Sockets that were made, for the question whether they are let go.
    private var sockets: [WeakSocket] = []

    private struct WeakSocket {
        weak var socket: SimulatedSocket?
    }

    init(loop: SimulationLoop, chance: Chance) {
        self.loop = loop
        self.chance = chance
        loop.network = self
    }

    func add(_ host: SimulatedHost) {
        hosts[host.address.port] = host
    }

    private func makeLink() -> Link {
        let link = Link(network: self)
        links.append(link)
        sockets.append(WeakSocket(socket: link.socket))
        return link
    }

    /// Sockets that are still referred to.
    var socketsLeft: Int { sockets.reduce(0) { $0 + ($1.socket == nil ? 0 : 1) } }

    func forgetIfOver(_ link: Link) {
        guard link.isOver else { return }
        links.removeAll { $0 === link }
        let loop = self.loop
        // Its own pipes are on the stack.
        loop.soon {
            link.toPeer.close()
            link.toProxy.close()
        }
    }

    /// A caller's connect.
    func connectCaller(_ caller: SimulatedPeer) -> Link {
        let link = makeLink()
        link.attach(caller)
        loop.after(link.toProxy.latency) { [self] in
            guard let socket = link.socket else { return }
            socket.pipeline.syncOperations.fireChannelRegistered()
            accept(socket)
            socket.activate()
        }
        return link
    }

    /// The proxy's connect to a task.
    func connect(
        _ transport: Transport, to address: EndpointAddress, settings: ClusterSettings
    ) -> EventLoopFuture<any Channel> {
        let promise = loop.makePromise(of: (any Channel).self)
        let link = makeLink()
        guard let socket = link.socket else { return loop.makeFailedFuture(ChannelError.eof) }
        do {
            try socket.pipeline.syncOperations.addHandler(transport)
        } catch {
            return loop.makeFailedFuture(error)
        }
        let timeout = settings.connectTimeout.nanoseconds
        var isDecided = false
        func fail(_ error: any Error) {
            if isDecided { return }
            isDecided = true
            promise.fail(error)
            socket.abandon()
            link.toPeer.close()
            link.toProxy.close()
            links.removeAll { $0 === link }
        }
        loop.after(timeout) { fail(ChannelError.connectTimeout(.nanoseconds(timeout))) }
        guard let host = hosts[address.port] else {
            loop.after(link.toPeer.latency) { fail(IOError(errnoCode: ECONNREFUSED, reason: "connect")) }
            return promise.futureResult
        }
        func arrive() {
            if isDecided { return }
            switch host.door {
            case .refusing:
                loop.after(link.toProxy.latency) { fail(IOError(errnoCode: ECONNREFUSED, reason: "connect")) }
            case .silent:
                // As SYNs are sent again.
                loop.after(250_000_000) { arrive() }
            case .open:
                loop.after(link.toProxy.latency) {
                    if isDecided { return }
                    isDecided = true
                    host.accept(link)
                    promise.succeed(socket)
                    socket.activate()
                }
            }
        }
        loop.after(link.toPeer.latency) { arrive() }
        return promise.futureResult
    }
}
