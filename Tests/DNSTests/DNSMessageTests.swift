import TestSupport
import Testing

@testable import DNS

@Suite("DNS messages")
struct DNSMessageTests {
    /// `users.local A` answered by a CNAME and two addresses, as a server would compress it. Written by hand, byte by
    /// byte, so that the reader is not measured by our own writer.
    private let response: [UInt8] = [
        0x12, 0x34,  // id
        0x81, 0x80,  // QR, RD, RA, NOERROR
        0x00, 0x01, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00,  // one question, three answers
        // 12: users.local A IN
        0x05, 0x75, 0x73, 0x65, 0x72, 0x73, 0x05, 0x6C, 0x6F, 0x63, 0x61, 0x6C, 0x00, 0x00, 0x01, 0x00, 0x01,
        // 29: users.local CNAME 7 -> V2.local
        0xC0, 0x0C, 0x00, 0x05, 0x00, 0x01, 0x00, 0x00, 0x00, 0x07, 0x00, 0x05, 0x02, 0x56, 0x32, 0xC0, 0x12,
        // 46: v2.local A 60 10.0.0.3, its name a pointer to the CNAME's data
        0xC0, 0x29, 0x00, 0x01, 0x00, 0x01, 0x00, 0x00, 0x00, 0x3C, 0x00, 0x04, 0x0A, 0x00, 0x00, 0x03,
        // v2.local A 60 10.0.0.2
        0xC0, 0x29, 0x00, 0x01, 0x00, 0x01, 0x00, 0x00, 0x00, 0x3C, 0x00, 0x04, 0x0A, 0x00, 0x00, 0x02,
    ]

    @Test("a compressed response is read in full")
    func compressedResponse() throws {
        let message = try DNSMessage(parsing: response)
        let users = try #require(DNSName("users.local"))
        let target = try #require(DNSName("v2.local"))
        #expect(message.id == 0x1234)
        #expect(message.isResponse)
        #expect(message.recursionAvailable)
        #expect(message.responseCode == .noError)
        #expect(message.questions == [DNSQuestion(name: users, type: .a)])
        #expect(
            message.answers == [
                DNSRecord(name: users, type: .cname, ttl: 7, data: .cname(target)),
                DNSRecord(name: target, type: .a, ttl: 60, data: .address(.v4(0x0A00_0003))),
                DNSRecord(name: target, type: .a, ttl: 60, data: .address(.v4(0x0A00_0002))),
            ])
    }

    @Test("a message cut anywhere is refused, never half read")
    func everyTruncation() {
        for length in response.indices {
            #expect(throws: DNSFormatError.self, "cut to \(length) bytes") {
                try DNSMessage(parsing: Array(response.prefix(length)))
            }
        }
    }

    @Test("bytes behind the last record are ignored")
    func trailingBytes() throws {
        #expect(try DNSMessage(parsing: response + [1, 2, 3]) == DNSMessage(parsing: response))
    }

    @Test(
        "malformed names are refused with the reason",
        arguments: [
            ([0xC0, 0x0C], "name pointer that does not point back at byte 12"),
            ([0x01, 0x61, 0xC0, 0x0C], "name pointer that does not point back at byte 14"),
            ([0xC0, 0x0E, 0xC0, 0x0C], "name pointer that does not point back at byte 12"),
            ([0xC0, 0xFF], "name pointer that does not point back at byte 12"),
            ([0xC0], "message ends too early at byte 13"),
            ([0x3F, 0x61], "message ends too early at byte 14"),
            ([0x40, 0x61], "unknown label type at byte 12"),
            ([0x80, 0x61], "unknown label type at byte 12"),
        ] as [([UInt8], String)])
    func malformedNames(name: [UInt8], reason: String) {
        let header: [UInt8] = [0, 1, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        let error = #expect(throws: DNSFormatError.self) { try DNSMessage(parsing: header + name) }
        #expect(error?.description == reason)
    }

    @Test("a name may have 255 bytes and no more", arguments: [(3, true), (4, false)])
    func nameLength(lastLabel: Int, isAccepted: Bool) {
        // Three labels of 63 take 192 bytes, one of 57 takes 58, the last one 1 + n, the root 1.
        let labels = [63, 63, 63, 57, lastLabel]
        var name: [UInt8] = []
        for label in labels { name += [UInt8(label)] + [UInt8](repeating: 0x61, count: label) }
        name.append(0)
        let header: [UInt8] = [0, 1, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        let message = try? DNSMessage(parsing: header + name + [0, 1, 0, 1])
        #expect((message != nil) == isAccepted)
    }

    @Test(
        "records whose length and content disagree are refused",
        arguments: [
            ("A with 3 bytes", 1, [10, 0, 0]),
            ("A with 5 bytes", 1, [10, 0, 0, 1, 0]),
            ("AAAA with 4 bytes", 28, [10, 0, 0, 1]),
            ("CNAME with a byte too many", 5, [0, 0]),
            ("CNAME of no bytes", 5, []),
            ("SOA cut short", 6, [0, 0, 0, 0, 0, 1]),
            ("SRV without target", 33, [0, 1, 0, 1, 0, 80]),
            ("SRV of five bytes", 33, [0, 1, 0, 1, 0]),
            ("SRV with a byte too many", 33, [0, 1, 0, 1, 0, 80, 0, 0]),
            ("SRV whose target ends behind its length", 33, [0, 1, 0, 1, 0, 80, 1]),
        ] as [(String, UInt16, [UInt8])])
    func lengthMismatch(what: String, type: UInt16, data: [UInt8]) {
        let header: [UInt8] = [0, 1, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0]
        let record: [UInt8] = [0, 0, UInt8(type), 0, 1, 0, 0, 0, 1, 0, UInt8(data.count)] + data
        #expect(throws: DNSFormatError.self, "\(what)") { try DNSMessage(parsing: header + record) }
    }

    @Test("a TTL with the top bit set counts as zero")
    func negativeTTL() throws {
        let header: [UInt8] = [0, 1, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0]
        let record: [UInt8] = [0, 0, 1, 0, 1, 0x80, 0, 0, 1, 0, 4, 10, 0, 0, 1]
        #expect(try DNSMessage(parsing: header + record).answers.first?.ttl == 0)
    }

    @Test("what is written is read back the same, names compressed")
    func roundTrip() throws {
        let name = try #require(DNSName("users.demo.local"))
        let zone = try #require(DNSName("demo.local"))
        var message = DNSMessage(answering: DNSMessage(id: 7), responseCode: .nameError)
        message.questions = [DNSQuestion(name: name, type: .srv)]
        message.answers = [
            DNSRecord(name: name, type: .a, ttl: 5, data: .address(.v4(0x7F00_0002))),
            DNSRecord(name: name, type: .aaaa, ttl: 5, data: .address(.v6(high: 0xFD00 << 48, low: 3))),
            DNSRecord(name: name, type: .cname, ttl: 9, data: .cname(zone)),
            DNSRecord(
                name: name, type: .srv, ttl: 9,
                data: .service(.init(priority: 1, weight: 65_535, port: 50_051, target: zone))),
            DNSRecord(
                name: name, type: .srv, ttl: 9, data: .service(.init(priority: 0, weight: 0, port: 0, target: .root))),
            DNSRecord(name: name, type: .init(rawValue: 16), ttl: 9, data: .raw([2, 0xC0, 0x0C])),
        ]
        message.authorities = [
            DNSRecord(
                name: zone, type: .soa, ttl: 10,
                data: .soa(
                    .init(
                        primary: zone, mailbox: name, serial: 1, refresh: 2, retry: 3, expire: 4, minimum: 300)))
        ]
        var option = DNSRecord(name: .root, type: .opt, ttl: 0xFF00_8000, data: .raw([]))
        option.recordClass = 1232
        message.additionals = [option]
        let bytes = try #require(message.encoded())
        #expect(try DNSMessage(parsing: bytes) == message)
        #expect(bytes.count < 240)
    }

    @Test("names behind the first 16 KiB, where no pointer reaches, are written in full")
    func farNames() throws {
        var message = DNSMessage(id: 1)
        for number in 0..<3_000 {
            // Each name twice in a row, so that the second would be a pointer to the first.
            let name = try #require(DNSName("h\(number / 2)"))
            message.answers.append(DNSRecord(name: name, type: .a, ttl: 1, data: .address(.v4(UInt32(number)))))
        }
        #expect(try DNSMessage(parsing: try #require(message.encoded())) == message)
    }

    @Test("a message that is too large for its own counts and lengths is not written")
    func tooLarge() throws {
        let name = try #require(DNSName("a"))
        var message = DNSMessage(id: 1)
        message.answers = [
            DNSRecord(name: name, type: .init(rawValue: 16), ttl: 0, data: .raw([UInt8](repeating: 0, count: 65_536)))
        ]
        #expect(message.encoded() == nil)
        message.answers = Array(
            repeating: DNSRecord(name: name, type: .a, ttl: 0, data: .address(.v4(1))), count: 65_536)
        #expect(message.encoded() == nil)
        message.answers.removeLast(60_000)
        #expect(message.encoded() == nil)
    }

    @Test("no bytes make the reader trap", arguments: 0..<8)
    func arbitraryBytes(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<5_000 {
            var bytes = response
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let index = Int.random(in: bytes.indices, using: &random)
                bytes[index] = UInt8.random(in: 0...255, using: &random)
            }
            guard let message = try? DNSMessage(parsing: bytes) else { continue }
            // What was accepted can be written, shown and read again.
            let written = message.encoded()
            #expect(written != nil)
            _ = message.answers.map(\.name.description)
            #expect((try? DNSMessage(parsing: written ?? [])) == message)
        }
    }
}

@Suite("DNS names and addresses")
struct DNSNameTests {
    @Test(
        "host names are taken with or without the final dot, in any case",
        arguments: [
            ("users.local", "users.local"), ("Users.LOCAL.", "users.local"), ("_grpc._tcp.users", "_grpc._tcp.users"),
            ("localhost", "localhost"), ("a-b.c0", "a-b.c0"),
        ])
    func hostNames(text: String, shown: String) {
        #expect(DNSName(text)?.description == shown)
    }

    @Test(
        "what is no host name is refused",
        arguments: [
            "", ".", "..", "a..b", ".a", "a b", "a\u{0}b", "é.local", "a/b", "a:1",
            String(repeating: "a", count: 64), String(repeating: "a.", count: 127) + "ab",
        ])
    func noHostNames(text: String) {
        #expect(DNSName(text) == nil)
    }

    @Test("a name of 253 characters fits")
    func longestName() {
        #expect(DNSName(String(repeating: "a.", count: 126) + "a") != nil)
    }

    @Test("bytes that would mislead a reader are escaped")
    func escapes() {
        #expect(DNSName(validatedWire: [4, 0x61, 0x2E, 0x00, 0x5C, 1, 0x7A, 0]).description == "a\\.\\000\\\\.z")
        #expect(DNSName.root.description == ".")
    }

    @Test(
        "a name is within itself and within what its last labels say",
        arguments: [
            ("users.demo.local", "users.demo.local", true), ("users.demo.local", "demo.local", true),
            ("users.demo.local", "local", true), ("users.demo.local", ".", true), ("xdemo.local", "demo.local", false),
            ("local", "demo.local", false), ("users.demo.local", "demo", false), ("a", "b", false),
        ])
    func within(name: String, zone: String, isWithin: Bool) throws {
        let name = try #require(DNSName(name))
        let zone = zone == "." ? .root : try #require(DNSName(zone))
        #expect(name.isWithin(zone) == isWithin)
    }

    @Test("labels that look like another name's end are not one")
    func withinBytes() {
        // The label's content 1 'a' 0 is the wire form of another name.
        let odd = DNSName(validatedWire: [3, 1, 0x61, 0x62, 0])
        #expect(!odd.isWithin(DNSName(validatedWire: [1, 0x61, 0])))
        #expect(odd.isWithin(.root))
        #expect(DNSName.root.isWithin(.root))
    }

    @Test("a domain is put behind a name as long as the whole fits")
    func appending() throws {
        let users = try #require(DNSName("users"))
        #expect(users.appending(try #require(DNSName("demo.local")))?.description == "users.demo.local")
        #expect(users.appending(.root) == users)
        let long = try #require(DNSName(String(repeating: "a.", count: 123) + "a"))
        #expect(try #require(DNSName("abcd")).appending(long)?.wire.count == 254)
        #expect(try #require(DNSName("abcde")).appending(long)?.wire.count == 255)
        #expect(try #require(DNSName("abcdef")).appending(long) == nil)
    }

    @Test(
        "names out of messages may be no host names",
        arguments: [
            ([1, 0x61, 2, 0x5F, 0x39, 0], true), ([0], false), ([1, 0x2E, 0], false), ([1, 0x61, 1, 0, 0], false),
        ] as [([UInt8], Bool)])
    func hostNameOnTheWire(wire: [UInt8], isHostName: Bool) {
        #expect(DNSName(validatedWire: wire).isHostName == isHostName)
    }

    @Test("labels are counted without the root", arguments: [("local", 1), ("a.b.c", 3)])
    func labels(text: String, count: Int) throws {
        #expect(try #require(DNSName(text)).labelCount == count)
        #expect(DNSName.root.labelCount == 0)
    }

    @Test(
        "addresses have one text form (RFC 5952)",
        arguments: [
            ("10.0.0.3", "10.0.0.3"), ("255.255.255.255", "255.255.255.255"), ("::", "::"), ("::1", "::1"),
            ("fd00:0:0:0:0:0:0:3", "fd00::3"), ("2001:DB8::A:0:0:1", "2001:db8::a:0:0:1"),
            ("1:0:0:2:0:0:0:3", "1:0:0:2::3"), ("1:0:0:2:3:0:0:4", "1::2:3:0:0:4"),
            ("1:2:3:4:5:6:7:0", "1:2:3:4:5:6:7:0"),
            ("1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"), ("fe80::", "fe80::"),
        ])
    func canonicalText(text: String, canonical: String) throws {
        let address = try #require(IPAddress(text: text))
        #expect(address.description == canonical)
        #expect(IPAddress(bytes: address.bytes) == address)
        #expect(IPAddress(text: canonical) == address)
    }

    @Test(
        "what is no address literal is refused", arguments: ["", "10.0.0", "10.0.0.256", "a", "fe80::1%eth0", "[::1]"])
    func noAddresses(text: String) {
        #expect(IPAddress(text: text) == nil)
    }

    @Test(
        "addresses that no task can have are told apart",
        arguments: [
            ("127.0.0.1", true), ("10.1.2.3", true), ("169.254.1.1", true), ("223.255.255.255", true),
            ("0.0.0.0", false), ("0.1.2.3", false), ("224.0.0.1", false), ("239.1.1.1", false), ("240.0.0.1", false),
            ("255.255.255.255", false), ("::1", true), ("fd00::3", true), ("::", false), ("ff02::1", false),
            ("fe80::1", false), ("febf::1", false), ("fec0::1", true),
        ])
    func usable(text: String, isUsable: Bool) throws {
        #expect(try #require(IPAddress(text: text)).isUsable == isUsable)
    }

    @Test("an IPv4-mapped address is the IPv4 address")
    func mapped() throws {
        #expect(IPAddress(text: "::ffff:10.0.0.1")?.unmapped == IPAddress(text: "10.0.0.1"))
        #expect(IPAddress(text: "::fffe:10.0.0.1")?.unmapped == IPAddress(text: "::fffe:10.0.0.1"))
    }

    @Test("addresses sort by family, then by number")
    func order() throws {
        let sorted = ["10.0.0.2", "10.0.0.10", "::1", "fd00::1"]
        #expect(sorted.reversed().compactMap { IPAddress(text: $0) }.sorted().map(\.description) == sorted)
    }
}
