import NIOCore
import NIOHTTP1
import NIOPosix
import Policy
import Telemetry

@testable import Control

/// Checks that run, and what they say.
struct RunningChecks {
    let checks: HealthChecks
    private let changes: AsyncStream<HealthChange>

    /// Runs the service around the test.
    static func with(_ body: (RunningChecks) async throws -> Void) async throws {
        let (changes, source) = AsyncStream.makeStream(of: HealthChange.self)
        let checks = HealthChecks { source.yield($0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await checks.run() }
            try await body(RunningChecks(checks: checks, changes: changes))
            group.cancelAll()
        }
    }

    /// Has these endpoints checked, and no others.
    func follow(_ settings: HealthCheckSettings?, _ endpoints: Endpoint...) {
        var clusterSettings = ClusterSettings()
        clusterSettings.healthCheck = settings
        let cluster = Cluster(
            name: "users", settings: clusterSettings, endpoints: endpoints, resolution: .resolved,
            state: ClusterState(id: 1))
        checks.follow(Snapshot(version: 1, routes: RouteTable([]), clusters: [cluster]))
    }

    /// The next change of a verdict, as `healthy`, or as the reason: `NOT_SERVING (3)`.
    func next() async -> String? {
        var iterator = changes.makeAsyncIterator()
        return await iterator.next().map(Self.text)
    }

    static func text(_ change: HealthChange) -> String {
        "\(change.verdict.reason ?? "healthy") (\(change.verdict.checks))"
    }

    /// A counter of the cluster.
    func count(_ result: String) -> Double {
        for family in checks.families {
            for sample in family.samples where sample.labels.contains(where: { $0.value == result }) {
                return sample.value
            }
        }
        return 0
    }
}

extension HealthCheckSettings {
    /// Quick ones. A timeout that passes only where the task is silent, however busy the machine is.
    static func quick(_ probe: HealthProbe, timeout: Duration = .seconds(20), up: Int = 2, down: Int = 3) -> Self {
        var settings = HealthCheckSettings()
        settings.probe = probe
        settings.interval = .milliseconds(20)
        settings.timeout = timeout
        settings.healthyThreshold = up
        settings.unhealthyThreshold = down
        return settings
    }
}

extension HealthProbe {
    static let check = HealthProbe.grpc(service: "", watch: false)
    static let watch = HealthProbe.grpc(service: "", watch: true)
    static let get = HealthProbe.http(path: "/healthz?full", statuses: 200...299, version: .http2)
    static let oldGet = HealthProbe.http(path: "/healthz?full", statuses: 200...299, version: .http1)
}

/// A web server of HTTP/1.1 that answers with one status, or with bytes of the test's choice.
final class HealthTestWebServer: Sendable {
    let endpoint: Endpoint
    private let channel: any Channel

    private init(channel: any Channel) {
        self.channel = channel
        endpoint = Endpoint(address: EndpointAddress(host: "127.0.0.1", port: channel.localAddress?.port ?? 0))
    }

    /// Takes `GET /healthz?full` alone; all else is not found.
    static func start(status: HTTPResponseStatus) async throws -> HealthTestWebServer {
        try await start { channel in
            try channel.pipeline.syncOperations.configureHTTPServerPipeline()
            try channel.pipeline.syncOperations.addHandler(Page(status))
        }
    }

    /// Answers whatever comes first with these bytes and closes.
    static func start(raw: String) async throws -> HealthTestWebServer {
        try await start { try $0.pipeline.syncOperations.addHandler(Raw(raw)) }
    }

    private static func start(_ setUp: @escaping @Sendable (any Channel) throws -> Void) async throws -> Self {
        Self(
            channel: try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .childChannelInitializer { channel in channel.eventLoop.makeCompletedFuture { try setUp(channel) } }
                .bind(host: "127.0.0.1", port: 0).get())
    }

    func stop() async { try? await channel.close() }

    private final class Page: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart
        private let status: HTTPResponseStatus

        init(_ status: HTTPResponseStatus) { self.status = status }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard case .head(let head) = unwrapInboundIn(data) else { return }
            let isRight = head.uri == "/healthz?full" && head.method == .GET && head.headers.contains(name: "host")
            let response = HTTPResponseHead(
                version: .http1_1, status: isRight ? status : .notFound, headers: ["content-length": "0"])
            context.write(wrapOutboundOut(.head(response)), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
    }

    private final class Raw: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let answer: String

        init(_ answer: String) { self.answer = answer }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)), promise: nil)
            context.close(promise: nil)
        }
    }
}

extension Endpoint {
    var isFit: Bool { health.isFit }
    var verdict: EndpointHealth.State { health.current }
}
