import ArgumentParser
import Control
import DNS
import Policy

/// `ekiden discover`: what a discovery URL stands for, and how the name servers came to say so.
struct DiscoverCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "discover",
        abstract: "Ask what is behind a discovery URL, and show how the answer came about.",
        discussion: """
            Asks and unites answers by the default rules of the configuration, but for what the options change. Prints \
            who was asked, what they said, and the endpoints that would be used. When the answer was cut it asks on, \
            each time the TTL runs out, until nearly all endpoints are known or --wait is over; of several servers \
            each is asked at the start.

              ekiden discover dns://game-server.local:50051
              ekiden discover srv://_grpc._tcp.game-server.local --server 10.0.0.2
              ekiden discover dns://game-server.local:50051 --watch

            Exits 0 when endpoints were found, 1 when none were, 64 when the arguments are wrong. With --watch it is \
            ended by a signal (Ctrl-C), and so has no exit code.
            """)

    @Argument(help: "dns://name:port, srv://name, file:///path or static://address:port.")
    var url: String

    @Flag(help: "Go on until a signal ends it: a line per look.")
    var watch = false

    @Flag(help: "JSON instead of text; with --watch one object per line and look.")
    var json = false

    @Option(help: "A name server to ask, ADDRESS or ADDRESS:PORT; may be given more than once. [default: the system's]")
    var server: [String] = []

    @Option(help: "Which address records to ask for: both, ipv4 or ipv6.")
    var family = AddressFamily.both

    @Option(help: "When an answer counts as cut: auto (when it has --truncated-at records), always or never.")
    var truncation = TruncationMode.auto

    @Option(help: "The number of records of an answer that its server has cut.")
    var truncatedAt = 8

    @Option(help: "How long to wait for one server, 10ms to 60s. [default: 1s]", transform: Self.duration)
    var timeout: Duration = .seconds(1)

    @Option(
        help: "How long to ask on when the answer was cut. [default: three TTLs and a second, 5s to 60s]",
        transform: Self.duration)
    var wait: Duration?

    func validate() throws {
        guard (2...1_000).contains(truncatedAt) else { throw ValidationError("--truncated-at goes from 2 to 1000") }
        guard (.milliseconds(10)...(.seconds(60))).contains(timeout) else {
            throw ValidationError("--timeout goes from 10ms to 60s")
        }
    }

    func run() async throws {
        let source: DiscoverySource
        var settings = DNSSettings()
        do throws(ValueSyntaxError) {
            source = try DiscoverySource(parsing: url)
            for text in server { settings.servers.append(try EndpointAddress(parsing: text, defaultPort: 53)) }
        } catch {
            throw ValidationError("\(error)")
        }
        settings.timeout = timeout
        settings.answers.family = family
        settings.answers.truncation = truncation
        settings.answers.truncatedAt = truncatedAt

        let session = DiscoverSession(source: source, settings: settings)
        let isFound: Bool
        switch (watch, json) {
        case (false, false): isFound = await session.once(wait: wait, as: DiscoverPage())
        case (false, true): isFound = await session.once(wait: wait, as: DiscoverJSON())
        case (true, false): isFound = await session.watch(as: DiscoverLines())
        case (true, true): isFound = await session.watch(as: DiscoverJSON(isCompact: true))
        }
        if !isFound { throw ExitCodes.failure }
    }

    @Sendable
    private static func duration(_ text: String) throws -> Duration {
        do throws(ValueSyntaxError) {
            return try Duration(parsing: text)
        } catch {
            throw ValidationError("\(error)")
        }
    }
}

extension AddressFamily: ExpressibleByArgument {}
extension TruncationMode: ExpressibleByArgument {}
