import Policy
import Testing

@testable import DNS

@Suite("DNS messages made by hand")
struct DNSWireTests {
    private let server = EndpointAddress(host: "127.0.0.1", port: 53)
    private let service = "_grpc._tcp.users.local"

    private func read(
        _ bytes: [UInt8], _ name: String = "users.local", _ type: DNSRecordType = .a
    ) throws -> Result<DNSAnswer, DNSFailure> {
        DNSAnswer.read(bytes, name: try #require(DNSName(name)), type: type, server: server)
    }

    private func services(_ answers: [[UInt8]]) throws -> Result<DNSAnswer, DNSFailure> {
        try read(Wire.response(to: Wire.name(service), type: 33, answers: answers), service, .srv)
    }

    private func expectFailure(
        _ result: Result<DNSAnswer, DNSFailure>, _ kind: DNSFailure.Kind, negativeTTL: UInt32? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let expected = DNSFailure(kind, name: "users.local", server: server, negativeTTL: negativeTTL)
        #expect(result == .failure(expected), sourceLocation: sourceLocation)
    }

    // MARK: SRV

    @Test(
        "SRV targets are read as labels, and compressed as some servers send them",
        arguments: [
            Wire.name("t1.local"),
            // 't1', then a pointer to 'local' in the question, 17 bytes behind its start.
            [2, 0x74, 0x31, 0xC0, Wire.questionOffset + 17],
        ])
    func srvTargets(target: [UInt8]) throws {
        let answer = try services([
            Wire.srv(Wire.questionName, ttl: 9, 10, 5, 50_051, target),
            Wire.srv(Wire.questionName, ttl: 4, 20, 0, 65_535, Wire.name("b.local")),
        ]).get()
        #expect(
            answer.services == [
                .init(priority: 10, weight: 5, port: 50_051, target: try #require(DNSName("t1.local"))),
                .init(priority: 20, weight: 0, port: 65_535, target: try #require(DNSName("b.local"))),
            ])
        #expect(answer.ttl == 4)
        #expect(answer.addresses.isEmpty)
    }

    @Test("SRV records stand at the end of a CNAME chain, whose TTLs count")
    func srvBehindChain() throws {
        let answer = try services([
            Wire.cname(Wire.questionName, ttl: 3, Wire.name("svc.local")),
            Wire.cname(Wire.name("svc.local"), ttl: 7, Wire.name("real.local")),
            Wire.srv(Wire.name("real.local"), ttl: 60, 1, 1, 80, Wire.name("t1.local")),
            Wire.srv(Wire.name("other.local"), ttl: 1, 1, 1, 81, Wire.name("t2.local")),
        ]).get()
        #expect(answer.services.map(\.port) == [80])
        #expect(answer.ttl == 3)
    }

    @Test("the root as target says that there is no such service, for as long as the record lives")
    func srvDenial() throws {
        let denial = Wire.srv(Wire.questionName, ttl: 30, 0, 0, 0, [0])
        let expected = DNSFailure(.noData, name: service, server: server, negativeTTL: 30)
        #expect(try services([denial]) == .failure(expected))
        let mixed = try services([denial, Wire.srv(Wire.questionName, 1, 1, 80, Wire.name("t1.local"))]).get()
        #expect(mixed.services.map(\.port) == [80])
    }

    // MARK: Negative answers

    @Test(
        "a negative answer holds as long as the smallest of SOA TTL, SOA minimum and chain",
        arguments: [
            // SOA TTL, minimum, CNAME TTL, what is left
            (900, 60, nil, 60), (30, 300, nil, 30), (900, 300, 5, 5), (900, 5, 300, 5),
            (0x8000_0001, 300, nil, 0), (900, 0xFFFF_FFFF, nil, 900),
        ] as [(UInt32, UInt32, UInt32?, UInt32)], [DNSFailure.Kind.nameError, .noData])
    func negativeTTL(
        times: (soa: UInt32, minimum: UInt32, chain: UInt32?, expected: UInt32), kind: DNSFailure.Kind
    ) throws {
        let chain = times.chain.map { [Wire.cname(Wire.questionName, ttl: $0, Wire.name("v2.local"))] }
        let bytes = Wire.response(
            flags: kind == .nameError ? 0x8183 : 0x8180, answers: chain ?? [],
            authorities: [Wire.soa(Wire.name("local"), ttl: times.soa, minimum: times.minimum)])
        expectFailure(try read(bytes), kind, negativeTTL: times.expected)
    }

    @Test(
        "a SOA record that is not of a zone around the name says nothing",
        arguments: [
            Wire.soa(Wire.name("other.local"), ttl: 60, minimum: 60),
            Wire.soa(Wire.name("sub.users.local"), ttl: 60, minimum: 60),
            Wire.soa(Wire.name("local"), ttl: 60, minimum: 60, recordClass: 3),
            Wire.record(Wire.name("local"), type: 2, Wire.name("ns.local")),
        ])
    func strangeAuthority(record: [UInt8]) throws {
        expectFailure(try read(Wire.response(flags: 0x8183, authorities: [record])), .nameError)
    }

    @Test("the SOA record counts for the zone where the chain ends")
    func authorityOfChainEnd() throws {
        let bytes = Wire.response(
            answers: [Wire.cname(Wire.questionName, ttl: 60, Wire.name("users.cloud"))],
            authorities: [
                Wire.soa(Wire.name("local"), ttl: 1, minimum: 1), Wire.soa(Wire.name("cloud"), ttl: 40, minimum: 50),
            ])
        expectFailure(try read(bytes), .noData, negativeTTL: 40)
    }

    @Test("a name that does not exist has no addresses, whatever else the answer has")
    func nameErrorWithAnswers() throws {
        let bytes = Wire.response(flags: 0x8183, answers: [Wire.a(Wire.questionName, [10, 0, 0, 1])])
        expectFailure(try read(bytes), .nameError)
    }

    // MARK: What is not believed

    @Test("records that do not belong to the question are ignored")
    func strangers() throws {
        let stranger = Wire.a(Wire.name("evil.local"), ttl: 1, [10, 6, 6, 6])
        let own = Wire.a(Wire.questionName, ttl: 50, [10, 0, 0, 1])
        let otherClass = Wire.a(Wire.questionName, ttl: 1, recordClass: 3, [10, 7, 7, 7])
        let offered = Wire.a(Wire.questionName, ttl: 1, [10, 8, 8, 8])
        let answer = try read(
            Wire.response(
                answers: [stranger, otherClass, own], authorities: [offered], additionals: [offered, stranger])
        ).get()
        #expect(answer.addresses.map(\.description) == ["10.0.0.1"])
        #expect(answer.ttl == 50)
        // A class that is not IN has data of its own, of any length.
        let chaos = Wire.a(Wire.questionName, recordClass: 3, [1, 2, 3])
        expectFailure(try read(Wire.response(answers: [chaos, stranger])), .noData)
    }

    @Test(
        "a message that is no answer to this question is refused",
        arguments: [
            ("a query came back", Wire.response(flags: 0x0100)),
            ("it answers another question", Wire.response(questionClass: 3)),
            ("it answers another question", Wire.response(type: 28)),
            ("it answers another question", Wire.response(to: Wire.name("users.lan"))),
            ("it answers another question", Wire.response(flags: 0xA980)),
            ("it is cut", Wire.response(flags: 0x8380, answers: [Wire.a(Wire.questionName, [10, 0, 0, 1])])),
            ("it is cut", Wire.response(flags: 0x8380)),
            ("it has more than one OPT record", Wire.response(additionals: [Wire.opt(), Wire.opt()])),
        ] as [(String, [UInt8])])
    func strangeMessages(reason: String, bytes: [UInt8]) throws {
        expectFailure(try read(bytes), .malformed(reason))
    }

    @Test("the question's letter case is the server's own affair")
    func letterCase() throws {
        let bytes = Wire.response(
            to: Wire.name("uSeRs.LOCAL"), answers: [Wire.a(Wire.name("USERS.local"), [10, 0, 0, 1])])
        #expect(try read(bytes).get().addresses.count == 1)
    }

    @Test("a chain may have sixteen links, more of them are a loop", arguments: [(16, true), (17, false)])
    func chainLength(links: Int, isAccepted: Bool) throws {
        let names = [Wire.questionName] + (1...links).map { Wire.name("c\($0).local") }
        let chain = zip(names, names.dropFirst()).map { Wire.cname($0, ttl: 10, $1) }
        let result = try read(Wire.response(answers: chain + [Wire.a(names[links], ttl: 20, [10, 0, 0, 1])]))
        if isAccepted {
            #expect(try result.get().ttl == 10)
        } else {
            expectFailure(result, .malformed("CNAME loop"))
        }
    }

    @Test("a name that is an alias of itself is a loop")
    func shortestLoop() throws {
        let bytes = Wire.response(answers: [Wire.cname(Wire.questionName, Wire.questionName)])
        expectFailure(try read(bytes), .malformed("CNAME loop"))
    }

    // MARK: EDNS

    @Test(
        "an OPT record adds the upper bits of the response code",
        arguments: [
            (0, 0, nil), (0, 2, .serverFailure), (0, 5, .refused), (1, 0, .responseCode(.badVersion)),
            (1, 7, .responseCode(DNSResponseCode(rawValue: 23))),
            // The record's TTL has its top bit set.
            (0xFF, 3, .responseCode(DNSResponseCode(rawValue: 0xFF3))),
        ] as [(UInt8, Int, DNSFailure.Kind?)])
    func extendedCodes(upper: UInt8, lower: Int, kind: DNSFailure.Kind?) throws {
        let result = try read(
            Wire.response(
                flags: 0x8180 | lower, answers: [Wire.a(Wire.questionName, [10, 0, 0, 1])],
                additionals: [Wire.opt(upper: upper, options: [0, 10, 0, 2, 1, 2])]))
        if let kind {
            expectFailure(result, kind)
        } else {
            #expect(try result.get().addresses.count == 1)
        }
    }

    @Test("extended codes have names or numbers")
    func codeNames() {
        #expect("\(DNSResponseCode.badVersion)" == "BADVERS")
        #expect("\(DNSResponseCode(rawValue: 4_095))" == "RCODE4095")
    }

    // MARK: Sizes

    @Test("a message cut at any byte is refused, never half read")
    func everyTruncation() throws {
        let bytes = Wire.response(
            to: Wire.name(service), type: 33,
            answers: [
                Wire.cname(Wire.questionName, Wire.name("svc.local")),
                Wire.srv(Wire.name("svc.local"), 1, 1, 80, [2, 0x74, 0x31, 0xC0, Wire.questionOffset + 17]),
            ],
            authorities: [Wire.soa(Wire.name("local"), ttl: 60, minimum: 60)],
            additionals: [
                Wire.record(Wire.name("t1.local"), type: 28, [UInt8](repeating: 1, count: 16)),
                Wire.a(Wire.name("t1.local"), [10, 0, 0, 1]), Wire.opt(options: [0, 3, 0, 1, 9]),
            ])
        #expect(try read(bytes, service, .srv).get().services.count == 1)
        for length in bytes.indices {
            guard case .failure(let failure) = try read(Array(bytes.prefix(length)), service, .srv),
                case .malformed = failure.kind
            else {
                Issue.record("cut to \(length) bytes it is not malformed")
                continue
            }
        }
    }

    @Test("counts that promise more than there is are refused", arguments: [4, 6, 8, 10])
    func countsThatLie(field: Int) throws {
        var bytes = Wire.response(answers: [Wire.a(Wire.questionName, [10, 0, 0, 1])])
        bytes[field] = 0xFF
        guard case .failure(let failure) = try read(bytes), case .malformed = failure.kind else {
            Issue.record("not malformed")
            return
        }
    }

    @Test("counts that promise less leave the rest unread")
    func countsTooSmall() throws {
        var bytes = Wire.response(answers: [[1], [2]].map { Wire.a(Wire.questionName, [10, 0, 0] + $0) })
        bytes[7] = 1
        #expect(try read(bytes).get().addresses.map(\.description) == ["10.0.0.1"])
    }

    @Test("of an answer as large as TCP can carry the first thousand records are taken")
    func largestAnswer() throws {
        let count = (65_535 - Wire.response().count) / 16
        let records = (0..<count).map { Wire.a(Wire.questionName, ttl: UInt32(count - $0), [10, 0] + Wire.uint16($0)) }
        let answer = try read(Wire.response(answers: records)).get()
        #expect(count > 4_000)
        #expect(answer.records.count == DNSAnswer.maximumRecords)
        #expect(answer.addresses.first?.description == "10.0.0.0")
        // The records that were left out may be the first to change.
        #expect(answer.ttl == 1)
    }

    @Test("a staircase of pointers is not walked down for every name")
    func pointerStaircase() throws {
        // A TXT record whose data is pointers, each to the one before, the first to the question's name.
        let question = Wire.response().count
        let start = question + 2 + 10
        func staircase(_ steps: Int) -> [UInt8] {
            Wire.questionName + (0..<(steps - 1)).flatMap { Wire.uint16(0xC000 | (start + 2 * $0)) }
        }
        func message(_ steps: Int) -> [UInt8] {
            let last = Wire.uint16(0xC000 | (start + 2 * (steps - 1)))
            return Wire.response(
                answers: [
                    Wire.record(Wire.questionName, type: 16, staircase(steps)), Wire.a(last, [10, 0, 0, 1]),
                ])
        }
        // The name itself is one more pointer.
        #expect(try read(message(126)).get().addresses.count == 1)
        let offset = start + 2 * 127
        expectFailure(
            try read(message(127)), .malformed("name of more pointers than it can have labels at byte \(offset)"))
    }
}
