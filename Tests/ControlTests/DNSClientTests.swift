import DNS
import NIOPosix
import Policy
import Synchronization
import Testing

@testable import Control

@Suite("The DNS client, over sockets", .timeLimit(.minutes(1)))
struct DNSClientTests {
    private let users: DNSName

    init() throws {
        users = try #require(DNSName("users.local"))
    }

    private func settings(_ ports: Int..., timeout: Duration = .seconds(5), tries: Int = 1) -> DNSSettings {
        var settings = DNSSettings()
        settings.servers = ports.map { EndpointAddress(host: "127.0.0.1", port: $0) }
        settings.timeout = timeout
        settings.tries = tries
        return settings
    }

    private func addresses(_ query: DNSMessage, _ values: [UInt32], ttl: UInt32 = 5) -> DNSMessage {
        DNSMessage(
            answering: query,
            answers: query.questions.flatMap { question in
                values.map { DNSRecord(name: question.name, type: .a, ttl: ttl, data: .address(.v4($0))) }
            })
    }

    /// Runs `body` with a client of these servers and closes all of them.
    private func withClient<Value: Sendable>(
        _ settings: DNSSettings, _ servers: DNSTestServer..., body: (DNSClient) async throws -> Value
    ) async throws -> Value {
        let client = DNSClient(settings: settings)
        let result = try await body(client)
        await client.close()
        for server in servers { try await server.close() }
        return result
    }

    @Test("an answer has its addresses, TTL and server")
    func answer() async throws {
        let server = try await DNSTestServer { query, _ in addresses(query, [0x7F00_0002, 0x7F00_0003], ttl: 7) }
        let answer = try await withClient(settings(server.port), server) { client in
            try await client.query(name: users, type: .a, firstServer: 0).result.get()
        }
        #expect(answer.addresses.map(\.description) == ["127.0.0.2", "127.0.0.3"])
        #expect(answer.ttl == 7)
        #expect(answer.server == EndpointAddress(host: "127.0.0.1", port: server.port))
        #expect(server.questions == [DNSQuestion(name: users, type: .a)])
    }

    @Test("a cut answer is asked for again over TCP")
    func truncation() async throws {
        let server = try await DNSTestServer { query, transport in
            guard transport == .tcp else {
                var cut = DNSMessage(answering: query)
                cut.isTruncated = true
                return cut
            }
            return addresses(query, (1...200).map { 0x0A00_0000 + $0 })
        }
        let answer = try await withClient(settings(server.port), server) { client in
            try await client.query(name: users, type: .a, firstServer: 0).result.get()
        }
        #expect(answer.addresses.count == 200)
    }

    @Test(
        "response codes come back as what they are, at once",
        arguments: [
            (DNSResponseCode.nameError, DNSFailure.Kind.nameError), (.serverFailure, .serverFailure),
            (.refused, .refused), (.notImplemented, .responseCode(.notImplemented)), (.noError, .noData),
        ])
    func responseCodes(code: DNSResponseCode, kind: DNSFailure.Kind) async throws {
        let server = try await DNSTestServer { query, _ in DNSMessage(answering: query, responseCode: code) }
        let result = try await withClient(settings(server.port, tries: 3), server) { client in
            await client.query(name: users, type: .a, firstServer: 0).result
        }
        let expected = DNSFailure(kind, name: "users.local", server: .init(host: "127.0.0.1", port: server.port))
        #expect(result == .failure(expected))
        #expect(server.questions.count == 1)
    }

    @Test("a server that fails is passed over for the next one", arguments: [DNSResponseCode.serverFailure, .refused])
    func failover(code: DNSResponseCode) async throws {
        let bad = try await DNSTestServer { query, _ in DNSMessage(answering: query, responseCode: code) }
        let good = try await DNSTestServer { query, _ in addresses(query, [0x7F00_0002]) }
        let answer = try await withClient(settings(bad.port, good.port), bad, good) { client in
            try await client.query(name: users, type: .a, firstServer: 0).result.get()
        }
        #expect(answer.server.port == good.port)
        #expect(bad.questions.count == 1)
    }

    @Test("NXDOMAIN is the zone's word: the next server is not asked")
    func nameErrorIsFinal() async throws {
        let first = try await DNSTestServer { query, _ in DNSMessage(answering: query, responseCode: .nameError) }
        let second = try await DNSTestServer { query, _ in addresses(query, [0x7F00_0002]) }
        _ = try await withClient(settings(first.port, second.port), first, second) { client in
            await client.query(name: users, type: .a, firstServer: 0).result
        }
        #expect(second.questions.isEmpty)
    }

    @Test("a silent server is asked as often as configured, then it is a timeout")
    func timeout() async throws {
        let server = try await DNSTestServer { _, _ in nil }
        let (reply, questions) = try await withClient(
            settings(server.port, timeout: .milliseconds(20), tries: 3), server
        ) { client in
            let reply = await client.query(name: users, type: .a, firstServer: 0)
            // A busy server reads its datagrams after the client has given up.
            return (reply, await server.questions(atLeast: 3))
        }
        let expected = DNSFailure(.timeout, name: "users.local", server: .init(host: "127.0.0.1", port: server.port))
        #expect(reply.result == .failure(expected))
        #expect(reply.attempts.map(\.result) == Array(repeating: .failure(expected), count: 3))
        #expect(questions.count == 3)
    }

    @Test("a lost packet costs a timeout, not the answer")
    func lostPacket() async throws {
        let asked = Mutex(0)
        let server = try await DNSTestServer { query, _ in
            let isFirst = asked.withLock { asked in
                asked += 1
                return asked == 1
            }
            return isFirst ? nil : addresses(query, [0x7F00_0002])
        }
        // Tries for a server that is slow because the machine is busy; one timeout is what the packet costs.
        let answer = try await withClient(settings(server.port, timeout: .milliseconds(200), tries: 100), server) {
            client in
            try await client.query(name: users, type: .a, firstServer: 0).result.get()
        }
        #expect(answer.addresses.count == 1)
    }

    @Test("nobody at the server's port is found out at once")
    func unreachable() async throws {
        let server = try await DNSTestServer { _, _ in nil }
        try await server.close()
        let result = try await withClient(settings(server.port)) { client in
            await client.query(name: users, type: .a, firstServer: 0).result
        }
        #expect(
            result
                == .failure(
                    DNSFailure(.unreachable, name: "users.local", server: .init(host: "127.0.0.1", port: server.port))))
    }

    @Test("an answer to another question is not taken")
    func wrongQuestion() async throws {
        let other = try #require(DNSName("x"))
        let server = try await DNSTestServer { query, _ in
            var answer = addresses(query, [0x0666_0606])
            answer.questions = [DNSQuestion(name: other, type: .a)]
            return answer
        }
        let result = try await withClient(settings(server.port, timeout: .milliseconds(50)), server) { client in
            await client.query(name: users, type: .a, firstServer: 0).result
        }
        let expected = DNSFailure(.timeout, name: "users.local", server: .init(host: "127.0.0.1", port: server.port))
        #expect(result == .failure(expected))
    }

    @Test("many queries at a time each get their own answer")
    func concurrentQueries() async throws {
        let server = try await DNSTestServer { query, _ in
            // The label's digits come back as the address.
            let label = query.questions.first.map { $0.name.description.dropFirst() } ?? ""
            return addresses(query, [0x0A00_0000 + (UInt32(label) ?? 0)])
        }
        let matches = try await withClient(settings(server.port), server) { client in
            await withTaskGroup(of: Bool.self) { group in
                // More at once than this would fill the test server's socket buffer.
                for number in 1...200 {
                    group.addTask {
                        guard let name = DNSName("h\(number)") else { return false }
                        let answer = try? await client.query(name: name, type: .a, firstServer: 0).result.get()
                        return answer?.addresses == [.v4(0x0A00_0000 + UInt32(number))]
                    }
                }
                return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
        }
        #expect(matches == 200)
    }

    @Test("a cancelled query ends without waiting for the server")
    func cancellation() async throws {
        let (asked, question) = AsyncStream.makeStream(of: Void.self)
        let server = try await DNSTestServer { _, _ in
            question.yield()
            return nil
        }
        let result = try await withClient(settings(server.port, timeout: .seconds(60)), server) { client in
            let query = Task { await client.query(name: users, type: .a, firstServer: 0).result }
            for await _ in asked { break }
            query.cancel()
            return await query.value
        }
        #expect(result.isCancelled)
    }

    @Test("closing ends what is under way and what comes later")
    func close() async throws {
        let (asked, question) = AsyncStream.makeStream(of: Void.self)
        let server = try await DNSTestServer { _, _ in
            question.yield()
            return nil
        }
        let client = DNSClient(settings: settings(server.port, timeout: .seconds(60)))
        let query = Task { await client.query(name: users, type: .a, firstServer: 0).result }
        for await _ in asked { break }
        await client.close()
        #expect(await query.value.isCancelled)
        #expect(await client.query(name: users, type: .a, firstServer: 0).result.isCancelled)
        await client.close()
        try await server.close()
    }

    @Test("without configured servers those of the system are asked")
    func systemServers() throws {
        #expect(try !SystemResolver.read().servers.isEmpty)
    }
}
