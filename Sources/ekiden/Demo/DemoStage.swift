import Control
import DNS
import NIOCore
import NIOPosix
import Policy

/// The tasks and the name server that knows them: what ECS and Cloud Map are to a real mesh.
actor DemoStage {
    /// The name that the tasks are found under.
    static let name = "game-server.local"
    /// Seconds; what Cloud Map's users set to 10 or 60.
    static let ttl: UInt32 = 1
    /// Tasks at the start.
    static let firstTasks = 3

    /// The port of every task.
    nonisolated let port: Int
    /// Where the name server listens.
    nonisolated let nameServer: EndpointAddress
    private let dns: DNSServer
    private let group: MultiThreadedEventLoopGroup
    private var tasks: [(address: IPAddress, server: EchoServer)]
    /// Killed ones whose address DNS still gives out.
    private var lingering: [IPAddress] = []
    /// Those that finish their last calls.
    private var leaving: [EchoServer] = []
    private var isClosed = false
    private var lastAddress: UInt32

    /// Tasks get these addresses in turn: 127.0.0.2 to 127.0.0.9.
    private static let addresses: ClosedRange<UInt32> = 0x7F00_0002...0x7F00_0009
    /// The port of gRPC's own examples, then free ones: a port must be free on all addresses.
    private static let ports = [50_051, 0, 0, 0, 0]
    private static let drainTimeout: Duration = .seconds(10)

    /// Starts the first tasks and the name server.
    /// - Throws: ``DemoProblem``.
    static func start(on group: MultiThreadedEventLoopGroup) async throws -> DemoStage {
        let addresses = (0..<UInt32(firstTasks)).map { IPAddress.v4(Self.addresses.lowerBound + $0) }
        var cause = ""
        for port in ports {
            var tasks: [(address: IPAddress, server: EchoServer)] = []
            do {
                for address in addresses {
                    let taskPort = tasks.first?.server.port ?? port
                    tasks.append((address, try await task(at: address, port: taskPort, group)))
                }
                let dns = try await DNSServer(name: name, ttl: ttl, group: group)
                return DemoStage(tasks: tasks, dns: dns, group: group)
            } catch let error as IOError {
                for task in tasks { await task.server.kill() }
                cause = BindErrors.text(error)
            }
        }
        let range = "\(addresses[0]) to \(addresses[addresses.count - 1])"
        throw DemoProblem("cannot start tasks on \(range): \(cause)")
    }

    private init(
        tasks: [(address: IPAddress, server: EchoServer)], dns: DNSServer, group: MultiThreadedEventLoopGroup
    ) {
        self.tasks = tasks
        self.dns = dns
        self.group = group
        port = tasks.first?.server.port ?? 0
        nameServer = EndpointAddress(host: "127.0.0.1", port: dns.port)
        lastAddress = Self.addresses.lowerBound + UInt32(tasks.count) - 1
        dns.setMembers(tasks.map(\.address))
    }

    private static func task(
        at address: IPAddress, port: Int, _ group: MultiThreadedEventLoopGroup
    ) async throws -> EchoServer {
        let listen = ListenAddress.ip(host: address.description, port: port)
        return try await EchoServer(
            listen: listen, behaviour: EchoBehaviour(name: address.description), loop: group.next())
    }

    /// The tasks that run and stay, longest first.
    var running: [IPAddress] { tasks.map(\.address) }

    /// Those that may be seen at the moment: running, or killed and still in DNS.
    var visible: [IPAddress] { (running + lingering).sorted() }

    // MARK: What happens

    /// Ends a task at once. DNS goes on naming it until ``deregister(_:)``.
    func kill(_ address: IPAddress) async {
        guard let server = remove(address) else { return }
        lingering.append(address)
        await server.kill()
    }

    /// Takes a killed task's address out of DNS.
    func deregister(_ address: IPAddress) {
        lingering.removeAll { $0 == address }
        updateDNS()
    }

    /// Takes a task out of DNS and lets it finish its calls. That goes on when the script has ended, as the load's last
    /// calls may run there.
    /// - Parameter whenGone: called when it has finished, unless the stage was closed before.
    func drain(_ address: IPAddress, whenGone: @escaping @Sendable () -> Void) {
        guard let server = remove(address) else { return }
        updateDNS()
        leaving.append(server)
        Task {
            await server.stopGracefully(timeout: Self.drainTimeout)
            leaving.removeAll { $0 === server }
            if !isClosed { whenGone() }
        }
    }

    /// Starts a task under the next address and enters it into DNS.
    /// - Throws: `IOError` when its port is taken there.
    func add() async throws -> IPAddress {
        repeat {
            lastAddress = lastAddress < Self.addresses.upperBound ? lastAddress + 1 : Self.addresses.lowerBound
        } while visible.contains(.v4(lastAddress))
        let address = IPAddress.v4(lastAddress)
        tasks.append((address, try await Self.task(at: address, port: port, group)))
        updateDNS()
        return address
    }

    /// Ends what is left.
    func close() async {
        isClosed = true
        for server in tasks.map(\.server) + leaving { await server.kill() }
        tasks = []
        try? await dns.close()
    }

    private func remove(_ address: IPAddress) -> EchoServer? {
        guard let index = tasks.firstIndex(where: { $0.address == address }) else { return nil }
        return tasks.remove(at: index).server
    }

    private func updateDNS() {
        dns.setMembers(visible)
    }
}

extension EchoServer {
    /// The TCP port it is bound to.
    fileprivate var port: Int {
        if case .ip(_, let port) = address { port } else { 0 }
    }
}
