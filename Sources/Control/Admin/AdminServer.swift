import Hummingbird
import HummingbirdCore
package import Logging
package import NIOCore
package import Policy
import ServiceLifecycle

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The admin server: liveness, readiness, metrics and clusters over HTTP/1.1, beside the path of requests.
package struct AdminServer: Service {
    private let settings: AdminSettings
    private let source: AdminSource
    private let group: any EventLoopGroup
    private let logger: Logger
    private let onListening: @Sendable (ListenAddress) -> Void

    // Bounds on what a peer may ask for. A scraper, a probe and a few people fit in many times over.
    private static let maxConnections = 128
    private static let maxHeaderBytes = 16_384
    private static let maxHeaderFields = 64
    private static let idleTimeout: TimeAmount = .seconds(30)

    /// - Parameters:
    ///   - group: never the workers': a scrape must not delay a request.
    ///   - onListening: called once, with the bound address (the port that was taken where 0 was asked for).
    package init(
        settings: AdminSettings, source: AdminSource, group: any EventLoopGroup,
        logger: Logger = Logger(label: "ekiden.admin"),
        onListening: @escaping @Sendable (ListenAddress) -> Void = { _ in }
    ) {
        self.settings = settings
        self.source = source
        self.group = group
        self.logger = logger
        self.onListening = onListening
    }

    /// Serves until graceful shutdown or cancellation.
    /// - Throws: ``AdminListenError`` when the address can't be bound.
    package func run() async throws {
        // What matters comes as an error; what else the library has to tell (even a cancellation) is not the
        // operator's.
        var libraryLogger = logger
        libraryLogger.logLevel = .critical
        let limits = HTTP1Channel.Configuration.DecoderConfiguration(
            maxHeaderFieldSize: Self.maxHeaderBytes, maxHeaderListSize: Self.maxHeaderBytes,
            maxHeaderFieldCount: Self.maxHeaderFields)
        let application = Application(
            responder: AdminResponder(source: source, hosts: HostGuard(settings)),
            server: .http1(configuration: .init(idleTimeout: Self.idleTimeout, httpDecoderConfiguration: limits)),
            configuration: ApplicationConfiguration(
                address: bindAddress,
                availableConnectionsDelegate: .maximum(Self.maxConnections, logger: libraryLogger)),
            onServerRunning: { announce($0) },
            eventLoopGroupProvider: .shared(group),
            logger: libraryLogger)
        do {
            try await application.run()
        } catch is CancellationError {
            // Asked for, like a graceful shutdown.
        } catch let error as IOError {
            throw AdminListenError(address: settings.listen, cause: AdminListenError.text(error))
        }
    }

    private var bindAddress: BindAddress {
        switch settings.listen {
        case .ip(let host, let port): .hostname(host, port: port)
        case .unix(let path): .unixDomainSocket(path: path)
        }
    }

    private func announce(_ channel: any Channel) {
        var bound = settings.listen
        if case .ip(let host, _) = settings.listen, let port = channel.localAddress?.port {
            bound = .ip(host: host, port: port)
        }
        logger.info("listening admin \(bound)")
        onListening(bound)
    }
}

/// The admin server can't be opened.
package struct AdminListenError: Error, CustomStringConvertible {
    package let address: ListenAddress
    package let cause: String

    package var description: String { "the admin server cannot listen on \(address): \(cause)" }

    fileprivate static func text(_ error: IOError) -> String {
        switch error.errnoCode {
        case EADDRINUSE: "the address is in use by another process"
        case EADDRNOTAVAIL: "this host has no such address"
        case EACCES: "not permitted (ports below 1024 need the capability CAP_NET_BIND_SERVICE)"
        case ENOENT: "there is no such directory"
        default: "\(error)"
        }
    }
}
