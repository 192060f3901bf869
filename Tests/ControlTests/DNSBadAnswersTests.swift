import DNS
import Policy
import Testing

@testable import Control

@Suite("The DNS client and bad answers, over sockets", .timeLimit(.minutes(1)))
struct DNSBadAnswersTests {
    private let users: DNSName

    init() throws {
        users = try #require(DNSName("users.local"))
    }

    private func address(_ server: DNSTestServer) -> EndpointAddress {
        EndpointAddress(host: "127.0.0.1", port: server.port)
    }

    /// What a client of these servers has to say about `users.local`; closes all of them.
    private func ask(
        _ servers: DNSTestServer..., type: DNSRecordType = .a, firstServer: Int = 0,
        timeout: Duration = .seconds(20), tries: Int = 1
    ) async throws -> DNSReply {
        var settings = DNSSettings()
        settings.servers = servers.map(address)
        settings.timeout = timeout
        settings.tries = tries
        let client = DNSClient(settings: settings)
        let reply = await client.query(name: users, type: type, firstServer: firstServer)
        await client.close()
        for server in servers { try await server.close() }
        return reply
    }

    private static func answer(_ query: DNSMessage, _ address: UInt32 = 0x7F00_0002, count: Int = 1) -> DNSMessage {
        DNSMessage(
            answering: query,
            answers: query.questions.flatMap { question in
                (0..<UInt32(count)).map {
                    DNSRecord(name: question.name, type: .a, ttl: 5, data: .address(.v4(address + $0)))
                }
            })
    }

    private static func cut(_ query: DNSMessage) -> DNSMessage {
        var cut = answer(query)
        cut.isTruncated = true
        return cut
    }

    // MARK: Datagrams that are not the answer

    @Test(
        "what does not belong to the question is passed over, and the answer behind it is taken",
        arguments: [
            "wrong id", "wrong question", "wrong type", "wrong port", "too short", "empty", "not even DNS",
        ])
    func strays(kind: String) async throws {
        let server = try await DNSTestServer { query, _ -> [DNSTestServer.Reply] in
            var stray = Self.answer(query, 0x0606_0606)
            switch kind {
            case "wrong id":
                stray.id = ~query.id
            case "wrong question":
                stray.questions = [DNSQuestion(name: .root, type: .a)]
            case "wrong type":
                stray.questions[0].type = .aaaa
            case "wrong port":
                return [.fromElsewhere(stray), .message(Self.answer(query))]
            case "too short":
                return [.bytes([UInt8](stray.encoded()?.prefix(11) ?? [])), .message(Self.answer(query))]
            case "empty":
                return [.bytes([]), .message(Self.answer(query))]
            default:
                return [.bytes([UInt8](repeating: 0xC0, count: 600)), .message(Self.answer(query))]
            }
            return [.message(stray), .message(Self.answer(query))]
        }
        let reply = try await ask(server)
        #expect(try reply.result.get().addresses == [.v4(0x7F00_0002)])
        #expect(reply.attempts.count == 1)
    }

    @Test("an answer with garbage behind its question is malformed, and the next server is asked")
    func garbage() async throws {
        let bad = try await DNSTestServer { query, _ -> [DNSTestServer.Reply] in
            var bytes = Self.answer(query).encoded() ?? []
            // The answer's name: a pointer to itself.
            let offset = bytes.count - 16
            bytes[offset] = 0xC0
            bytes[offset + 1] = UInt8(offset)
            return [.bytes(bytes)]
        }
        let good = try await DNSTestServer { query, _ in Self.answer(query) }
        let reply = try await ask(bad, good, tries: 2)
        #expect(try reply.result.get().server == address(good))
        #expect(reply.attempts.map(\.server) == [address(bad), address(good)])
        guard case .failure(let failure) = reply.attempts.first?.result, case .malformed = failure.kind else {
            Issue.record("\(reply.attempts)")
            return
        }
    }

    @Test("a CNAME loop is malformed")
    func loop() async throws {
        let server = try await DNSTestServer { query, _ in
            let aliases = query.questions.map { DNSRecord(name: $0.name, type: .cname, ttl: 5, data: .cname($0.name)) }
            return DNSMessage(answering: query, answers: aliases)
        }
        let reply = try await ask(server)
        let expected = DNSFailure(.malformed("CNAME loop"), name: "users.local", server: address(server))
        #expect(reply.result == .failure(expected))
    }

    // MARK: TCP

    @Test("an answer that is cut over TCP too is none")
    func cutTwice() async throws {
        let server = try await DNSTestServer { query, _ in Self.cut(query) }
        let reply = try await ask(server)
        let expected = DNSFailure(.malformed("it is cut"), name: "users.local", server: address(server))
        #expect(reply.result == .failure(expected))
        #expect(server.questions.count == 2)
    }

    @Test("a datagram larger than was asked for is asked for again over TCP")
    func oversizeDatagram() async throws {
        let server = try await DNSTestServer { query, transport in
            Self.answer(query, transport == .udp ? 0x0606_0000 : 0x7F00_0000, count: 200)
        }
        let reply = try await ask(server)
        #expect(try reply.result.get().addresses.first == .v4(0x7F00_0000))
        #expect(try reply.result.get().addresses.count == 200)
    }

    @Test("the largest answer that TCP can carry is taken, and of its records as many as are sensible")
    func largestAnswer() async throws {
        let server = try await DNSTestServer { query, transport in
            transport == .udp ? Self.cut(query) : Self.answer(query, count: 4_090)
        }
        let reply = try await ask(server)
        #expect(try reply.result.get().records.count == DNSAnswer.maximumRecords)
    }

    @Test(
        "an answer that ends before its announced length, or that nobody gives, fails over to the next server",
        arguments: ["broken off", "no listener"])
    func brokenStream(kind: String) async throws {
        let bad = try await DNSTestServer { query, transport -> [DNSTestServer.Reply] in
            if transport == .udp { return [.message(Self.cut(query))] }
            return [.brokenOff(announced: 65_535, Self.answer(query).encoded() ?? [])]
        }
        if kind == "no listener" { try await bad.closeTCP() }
        let good = try await DNSTestServer { query, _ in Self.answer(query) }
        let reply = try await ask(bad, good)
        #expect(try reply.result.get().server == address(good))
        #expect(reply.attempts.count == 2)
    }

    // MARK: Servers

    @Test("a server that does not know EDNS is asked without it")
    func withoutEDNS() async throws {
        let server = try await DNSTestServer { query, _ in
            guard query.additionals.isEmpty else {
                return DNSMessage(answering: query, responseCode: .formatError)
            }
            return Self.answer(query)
        }
        #expect(try await ask(server).result.get().addresses.count == 1)
        #expect(server.questions.count == 2)
    }

    @Test("every question offers EDNS with a size that is not fragmented")
    func offersEDNS() async throws {
        let server = try await DNSTestServer { query, _ in
            // The answer tells what was offered.
            let offered = query.additionals.filter { $0.type == .opt }.map { UInt32($0.recordClass) }
            return Self.answer(query, offered == [1_232] ? 1 : 0)
        }
        #expect(try await ask(server).result.get().addresses == [.v4(1)])
    }

    @Test("each server's failure is in the list of attempts, in order")
    func attempts() async throws {
        let failing = try await DNSTestServer { query, _ in DNSMessage(answering: query, responseCode: .serverFailure) }
        let closed = try await DNSTestServer { _, _ -> DNSMessage? in nil }
        try await closed.close()
        let refusing = try await DNSTestServer { query, _ in DNSMessage(answering: query, responseCode: .refused) }
        let good = try await DNSTestServer { query, _ in Self.answer(query) }
        let reply = try await ask(failing, closed, refusing, good, tries: 2)
        let servers = [failing, closed, refusing, good].map(address)
        #expect(reply.attempts.map(\.server) == servers)
        #expect(reply.attempts.map { Self.kind($0.result) } == [.serverFailure, .unreachable, .refused, nil])
        #expect(reply.attempts.allSatisfy { $0.name == users && $0.type == .a && $0.elapsed > .zero })
    }

    @Test("of servers that all fail only the silent one is asked again")
    func rounds() async throws {
        let silent = try await DNSTestServer { _, _ -> DNSMessage? in nil }
        let failing = try await DNSTestServer { query, _ in DNSMessage(answering: query, responseCode: .serverFailure) }
        let reply = try await ask(silent, failing, timeout: .milliseconds(500), tries: 3)
        func kinds(of server: DNSTestServer) -> [DNSFailure.Kind?] {
            reply.attempts.filter { $0.server == address(server) }.map { Self.kind($0.result) }
        }
        #expect(kinds(of: silent) == [.timeout, .timeout, .timeout])
        // On a busy machine it may have been silent before.
        #expect(kinds(of: failing).drop { $0 == .timeout } == [.serverFailure])
    }

    @Test("a question begins with the server it is told to begin with", arguments: [(1, 1), (2, 2), (3, 0), (-1, 2)])
    func firstServer(first: Int, expected: Int) async throws {
        let servers = [
            try await DNSTestServer { query, _ in Self.answer(query) },
            try await DNSTestServer { query, _ in Self.answer(query) },
            try await DNSTestServer { query, _ in Self.answer(query) },
        ]
        let reply = try await ask(servers[0], servers[1], servers[2], firstServer: first)
        #expect(try reply.result.get().server == address(servers[expected]))
    }

    @Test(
        "the order of the servers is turned and loses none",
        arguments: [
            (3, 0, [0, 1, 2]), (3, 1, [1, 2, 0]), (3, 5, [2, 0, 1]), (3, -1, [2, 0, 1]), (1, 7, [0]), (0, 1, []),
            (3, .max, [1, 2, 0]), (3, .min, [1, 2, 0]),
        ] as [(Int, Int, [Int])])
    func order(count: Int, first: Int, expected: [Int]) {
        #expect(DNSClient.order(count, from: first) == expected)
    }

    @Test("a name that c-ares could misread is not asked for")
    func noHostName() async throws {
        let server = try await DNSTestServer { query, _ in Self.answer(query) }
        var settings = DNSSettings()
        settings.servers = [address(server)]
        let client = DNSClient(settings: settings)
        #expect(Self.kind(await client.query(name: .root, type: .a, firstServer: 0).result) == .invalidName)
        await client.close()
        try await server.close()
        #expect(server.questions.isEmpty)
    }

    @Test("SRV records come over sockets too")
    func services() async throws {
        let service = DNSRecord.Service(priority: 1, weight: 2, port: 50_051, target: users)
        let server = try await DNSTestServer { query, _ in
            let records = query.questions.map {
                DNSRecord(name: $0.name, type: .srv, ttl: 5, data: .service(service))
            }
            return DNSMessage(answering: query, answers: records)
        }
        #expect(try await ask(server, type: .srv).result.get().services == [service])
    }

    private static func kind(_ result: Result<DNSAnswer, DNSFailure>) -> DNSFailure.Kind? {
        if case .failure(let failure) = result { failure.kind } else { nil }
    }
}
