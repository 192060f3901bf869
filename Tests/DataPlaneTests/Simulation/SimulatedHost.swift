import HTTP2
import NIOCore
import Policy

@testable import DataPlane

/// A task's host: what happens to those who connect, and how well its streams are served.
final class SimulatedHost {
    enum Door {
        case open
        /// RST.
        case refusing
        /// SYNs are lost.
        case silent
    }

    /// What an accepted connection begins with.
    enum Hello: CaseIterable {
        case settings
        /// Nothing at all.
        case silence
        /// Bytes that are not HTTP/2.
        case garbage
        /// FIN.
        case end
    }

    let world: World
    let chance: Chance
    let endpoint: Endpoint
    /// What discovery says about it.
    var traits = EndpointTraits()
    var door = Door.open
    var hello = Hello.settings
    /// Streams out of a hundred that are not simply served.
    var faults = 0
    /// SETTINGS_MAX_CONCURRENT_STREAMS of new connections.
    var streamsMax = 100
    /// Until a response begins; milliseconds at most.
    var thinks = 0
    private(set) var connections: [TaskConnection] = []

    var address: EndpointAddress { endpoint.address }

    init(world: World, chance: Chance, endpoint: Endpoint) {
        self.world = world
        self.chance = chance
        self.endpoint = endpoint
        world.network.add(self)
    }

    func accept(_ link: Link) {
        connections.removeAll { $0.link == nil }
        let connection = TaskConnection(host: self)
        link.attach(connection)
        switch hello {
        case .settings:
            var settings = SessionSettings()
            settings.maxConcurrentStreams = streamsMax
            settings.streamWindowBytes = chance.pick([4_096, 65_535, 65_535, 1 << 20])
            connection.start(.server, settings, on: link)
            connections.append(connection)
        case .silence:
            connection.stay(on: link)
            connections.append(connection)
        case .garbage:
            connection.stay(on: link)
            link.toProxy.write(ByteBuffer(string: "HTTP/1.1 400 Bad Request\r\n\r\n"))
            connections.append(connection)
        case .end:
            connection.stay(on: link)
            connection.close(abruptly: chance.hits(50))
        }
    }

    /// The process ends: its connections with it.
    func crash(abruptly: Bool) {
        world.ledger.note(address.port, 2, "\(endpoint.name) crashes")
        door = .refusing
        for connection in connections { connection.close(abruptly: abruptly) }
        connections.removeAll()
    }

    /// SIGTERM: GOAWAY, no new connections, the end of the streams, the end.
    func leave() {
        world.ledger.note(address.port, 3, "\(endpoint.name) leaves")
        door = .refusing
        for connection in connections { connection.goAway(refuses: false) }
    }

    func setDark(_ isDark: Bool) {
        world.ledger.note(address.port, isDark ? 4 : 5, "\(endpoint.name) is \(isDark ? "cut off" : "back")")
        door = isDark ? .silent : .open
        for connection in connections { connection.link?.isDark = isDark }
    }

    func limitStreams(to count: Int) {
        world.ledger.note(address.port, count, "\(endpoint.name) takes \(count) streams")
        streamsMax = count
        for connection in connections { connection.limitStreams(to: count) }
    }

    /// All is well from now on, and what hangs ends.
    func recover() {
        setDark(false)
        endpoint.health.set(.unchecked)
        faults = 0
        thinks = 0
        hello = .settings
        limitStreams(to: 100)
        for connection in connections { connection.endWhatHangs() }
    }

    func draw() -> Act {
        if chance.hits(faults) { return Act.draw(chance) }
        return chance.hits(75) ? .echo : .echoAtEnd
    }
}
