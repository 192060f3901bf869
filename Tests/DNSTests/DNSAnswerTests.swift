import Policy
import Testing

@testable import DNS

@Suite("The answer in a DNS message")
struct DNSAnswerTests {
    private let server = EndpointAddress(host: "127.0.0.1", port: 5353)

    private func name(_ text: String) throws -> DNSName { try #require(DNSName(text)) }

    private func a(_ owner: String, _ address: String, ttl: UInt32) throws -> DNSRecord {
        DNSRecord(
            name: try name(owner), type: .a, ttl: ttl, data: .address(try #require(IPAddress(text: address))))
    }

    private func cname(_ owner: String, _ target: String, ttl: UInt32) throws -> DNSRecord {
        DNSRecord(name: try name(owner), type: .cname, ttl: ttl, data: .cname(try name(target)))
    }

    private func read(
        _ answers: [DNSRecord], code: DNSResponseCode = .noError, question: String = "users.local"
    ) throws -> Result<DNSAnswer, DNSFailure> {
        var query = DNSMessage(id: 1)
        query.questions = [DNSQuestion(name: try name(question), type: .a)]
        let message = DNSMessage(answering: query, responseCode: code, answers: answers)
        return DNSAnswer.read(
            try #require(message.encoded()), name: try name("users.local"), type: .a, server: server)
    }

    @Test("addresses come in the answer's order with the smallest TTL")
    func addresses() throws {
        let answer = try read([a("users.local", "10.0.0.9", ttl: 9), a("users.local", "10.0.0.1", ttl: 4)]).get()
        #expect(answer.addresses.map(\.description) == ["10.0.0.9", "10.0.0.1"])
        #expect(answer.ttl == 4)
    }

    @Test("a CNAME on the way counts for the TTL")
    func chainTTL() throws {
        let answer = try read([
            a("c.local", "10.0.0.1", ttl: 60), cname("users.local", "b.local", ttl: 30),
            cname("b.local", "c.local", ttl: 2),
        ]).get()
        #expect(answer.addresses.map(\.description) == ["10.0.0.1"])
        #expect(answer.ttl == 2)
    }

    @Test("records of names off the chain are not believed")
    func offChain() throws {
        let answer = try read([a("users.local", "10.0.0.1", ttl: 5), a("evil.local", "10.6.6.6", ttl: 1)]).get()
        #expect(answer.addresses.map(\.description) == ["10.0.0.1"])
        #expect(answer.ttl == 5)
    }

    @Test("failures are values that name what, whom and where")
    func failures() throws {
        let loop = [try cname("users.local", "b.local", ttl: 1), try cname("b.local", "users.local", ttl: 1)]
        let table: [(Result<DNSAnswer, DNSFailure>, String)] = [
            (try read([], code: .nameError), "NXDOMAIN for users.local from 127.0.0.1:5353"),
            (try read([], code: .serverFailure), "SERVFAIL for users.local from 127.0.0.1:5353"),
            (try read([], code: .refused), "REFUSED for users.local from 127.0.0.1:5353"),
            (try read([], code: .notImplemented), "NOTIMP for users.local from 127.0.0.1:5353"),
            (try read([]), "NODATA for users.local from 127.0.0.1:5353"),
            (try read([cname("users.local", "b.local", ttl: 1)]), "NODATA for users.local from 127.0.0.1:5353"),
            (try read(loop), "malformed DNS answer (CNAME loop) for users.local from 127.0.0.1:5353"),
            (
                try read([], question: "other.local"),
                "malformed DNS answer (it answers another question) for users.local from 127.0.0.1:5353"
            ),
            (
                DNSAnswer.read([1, 2, 3], name: try name("users.local"), type: .a, server: server),
                "malformed DNS answer (message ends too early at byte 3) for users.local from 127.0.0.1:5353"
            ),
        ]
        for (result, text) in table {
            guard case .failure(let failure) = result else {
                Issue.record("an answer instead of \(text)")
                continue
            }
            #expect(failure.description == text)
        }
    }
}
