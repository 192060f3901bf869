package import DNS
import Policy
import Synchronization

/// Asks the configured name servers in their order: the next one when a server is silent, broken or unwilling, and the
/// round again for those that were only silent.
package final class DNSClient: DNSTransport {
    private enum State {
        /// No question yet; with only static clusters there never is one, and no thread either.
        case idle
        case running(AresLoop, servers: [EndpointAddress])
        case closed
    }

    private let settings: DNSSettings
    private let state = Mutex(State.idle)

    package init(settings: DNSSettings) {
        self.settings = settings
    }

    package func query(name: DNSName, type: DNSRecordType, firstServer: Int) async -> DNSReply {
        func failure(_ kind: DNSFailure.Kind) -> DNSReply {
            DNSReply(.failure(DNSFailure(kind, name: name.description)))
        }
        // The target of a record may hold any byte, and c-ares reads names from text.
        guard name.isHostName else { return failure(.invalidName) }
        let loop: AresLoop
        let servers: [EndpointAddress]
        do throws(DNSSystemError) {
            guard let running = try start() else { return failure(.cancelled) }
            (loop, servers) = running
        } catch {
            var reply = failure(.system(error.reason))
            reply.attempts = [DNSAttempt(name: name, type: type, server: nil, result: reply.result, elapsed: .zero)]
            return reply
        }

        var reply = failure(.system("no name server is configured"))
        var candidates = Self.order(servers.count, from: firstServer)
        for _ in 0..<max(settings.tries, 1) {
            for index in candidates {
                let server = servers[index]
                let asked = ContinuousClock.now
                reply.result = await loop.ask(server: index, name: name, type: type)
                    .mapError { DNSFailure($0, name: name.description, server: server) }
                    .flatMap { DNSAnswer.read($0, name: name, type: type, server: server) }
                reply.attempts.append(
                    DNSAttempt(
                        name: name, type: type, server: server, result: reply.result,
                        elapsed: asked.duration(to: .now)))
                guard case .failure(let failure) = reply.result, !failure.isFinal else { return reply }
                // Silence may be a lost packet. Anything else would only be repeated.
                if failure.kind != .timeout { candidates.removeAll { $0 == index } }
            }
        }
        return reply
    }

    /// The indices of `count` servers, turned so that they begin with `first`, which may be any number.
    static func order(_ count: Int, from first: Int) -> [Int] {
        guard count > 0 else { return [] }
        let start = (first % count + count) % count
        return Array(start..<count) + Array(0..<start)
    }

    package func close() async {
        let previous = state.withLock { state in
            defer { state = .closed }
            return state
        }
        if case .running(let loop, _) = previous { await loop.stop() }
    }

    /// The thread and its servers, started by the first question; nil after ``close()``.
    private func start() throws(DNSSystemError) -> (AresLoop, servers: [EndpointAddress])? {
        try state.withLock { state throws(DNSSystemError) -> (AresLoop, servers: [EndpointAddress])? in
            switch state {
            case .closed:
                return nil
            case .running(let loop, let servers):
                return (loop, servers)
            case .idle:
                let servers = settings.servers.isEmpty ? try SystemResolver.read().servers : settings.servers
                let loop: AresLoop
                do throws(SystemFailure) {
                    loop = try AresLoop(servers: servers, timeout: settings.timeout)
                } catch {
                    throw DNSSystemError(reason: error.description)
                }
                state = .running(loop, servers: servers)
                return (loop, servers)
            }
        }
    }
}
