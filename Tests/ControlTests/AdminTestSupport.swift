import NIOCore
import NIOPosix
import Policy
import Telemetry

@testable import Control

/// A cluster as the admin server would be told of it.
extension ClusterStatus {
    static func test(
        _ name: String, endpoints: [Endpoint] = [], hasHadEndpoints: Bool? = nil,
        resolution: Cluster.Resolution = .resolved, sources: [SourceStatus] = []
    ) -> ClusterStatus {
        ClusterStatus(
            name: name, settings: ClusterSettings(), resolution: resolution, endpoints: endpoints,
            hasHadEndpoints: hasHadEndpoints, sources: sources)
    }
}

extension SourceStatus {
    static func dns(
        _ name: String, ttl: Duration? = nil, age: Duration? = nil, failures: Int = 0, lastFailure: String? = nil
    ) -> SourceStatus {
        SourceStatus(
            source: .dns(name: name, port: 50051), addressCount: 0, ttl: ttl, lastSuccessAge: age,
            isFailing: age == nil && lastFailure != nil, lastFailure: lastFailure, answers: age == nil ? 0 : 1,
            failures: failures)
    }

    static let fixed = SourceStatus(
        source: .fixed([]), addressCount: 0, ttl: nil, lastSuccessAge: nil, isFailing: false, lastFailure: nil,
        answers: 0, failures: 0)
}

/// An admin server on a free port of 127.0.0.1 (or where the test says), and a client that may send anything.
struct RunningAdmin {
    let address: ListenAddress

    static func with(
        _ settings: AdminSettings = AdminSettings(listen: .ip(host: "127.0.0.1", port: 0)),
        readiness: Readiness = Readiness(), clusters: [ClusterStatus] = [], families: [MetricFamily] = [],
        registry: MetricsRegistry = MetricsRegistry(), _ body: (RunningAdmin) async throws -> Void
    ) async throws {
        let source = AdminSource(
            version: "1.2.3", registry: registry, readiness: { readiness }, clusters: { clusters },
            timeline: { cluster in
                guard cluster == "users" else { return nil }
                var timeline = Timeline()
                timeline.append(DiscoveryEvent(.answer, "3 addresses"), source: "dns://users:1", at: WallClock.now)
                return timeline
            },
            families: { families })
        let (addresses, listening) = AsyncStream.makeStream(of: ListenAddress.self)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let server = AdminServer(settings: settings, source: source, group: group) { address in
            listening.yield(address)
            listening.finish()
        }
        do {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask {
                    defer { listening.finish() }
                    try await server.run()
                }
                var iterator = addresses.makeAsyncIterator()
                if let address = await iterator.next() {
                    try await body(RunningAdmin(address: address))
                    tasks.cancelAll()
                }
                try await tasks.waitForAll()
            }
        } catch {
            try await group.shutdownGracefully()
            throw error
        }
        try await group.shutdownGracefully()
    }

    /// `method path` with `host: 127.0.0.1` unless told otherwise; reads until the server closes.
    func request(_ method: String, _ path: String, host: String? = "127.0.0.1") async throws -> Answer {
        let hostLine = host.map { "host: \($0)\r\n" } ?? ""
        let version = host == nil ? "1.0" : "1.1"
        return try await send("\(method) \(path) HTTP/\(version)\r\n\(hostLine)connection: close\r\n\r\n")
    }

    /// Sends bytes as they are and reads until the server closes.
    func send(_ text: String) async throws -> Answer {
        let destination =
            switch address {
            case .ip(let host, let port): try SocketAddress(ipAddress: host, port: port)
            case .unix(let path): try SocketAddress(unixDomainSocketPath: path)
            }
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(to: destination) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: text))
            var answer = ByteBuffer()
            for try await bytes in inbound { answer.writeImmutableBuffer(bytes) }
            return Answer(String(buffer: answer))
        }
    }

    struct Answer {
        let status: Int
        let headers: [String: String]
        let body: String

        init(_ text: String) {
            let lines = text.split(separator: "\r\n", omittingEmptySubsequences: false)
            let statusLine = (lines.first ?? "").split(separator: " ")
            status = statusLine.count > 1 ? Int(statusLine[1]) ?? 0 : 0
            var headers: [String: String] = [:]
            for line in lines.dropFirst().prefix(while: { !$0.isEmpty }) {
                let parts = line.split(separator: ":", maxSplits: 1)
                if parts.count == 2 { headers[parts[0].lowercased()] = String(parts[1].drop { $0 == " " }) }
            }
            self.headers = headers
            body = lines.drop { !$0.isEmpty }.dropFirst().joined(separator: "\r\n")
        }
    }
}
