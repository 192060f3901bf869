import DNS
import Policy
import Testing

@testable import Control

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

@Suite("The system's resolver")
struct DNSSystemResolverTests {
    private func name(_ text: String) throws -> DNSName { try #require(DNSName(text)) }

    /// Reads a file with this text as if it were `/etc/resolv.conf`.
    private func read(_ text: String) throws -> SystemResolver {
        // mkstemp(3) puts what makes the name unique in place of the six X.
        var path = Array("/tmp/ekiden-resolv-XXXXXX".utf8CString)
        let descriptor = mkstemp(&path)
        try #require(descriptor >= 0)
        let file = String(decoding: path.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        defer { unlink(file) }
        let written = Array(text.utf8).withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        close(descriptor)
        try #require(written == text.utf8.count)
        return try SystemResolver.read(path: file)
    }

    @Test("servers, search list and ndots are read")
    func file() throws {
        let resolver = try read(
            """
            # what ECS writes
            nameserver 10.0.0.2
            nameserver fd00::53
            search eu-west-1.compute.internal demo.local.
            options ndots:3 timeout:2
            """)
        #expect(
            resolver.servers == [
                EndpointAddress(host: "10.0.0.2", port: 53), EndpointAddress(host: "fd00::53", port: 53),
            ])
        #expect(
            resolver.searchList
                == SearchList(domains: [try name("eu-west-1.compute.internal"), try name("demo.local")], ndots: 3))
    }

    @Test("entries that are no domains are left out")
    func oddDomains() throws {
        let resolver = try read("nameserver 127.0.0.1\nsearch . a..b demo.local\n")
        #expect(resolver.searchList == SearchList(domains: [try name("demo.local")], ndots: 1))
    }

    @Test("a file without servers means the one on this host")
    func emptyFile() throws {
        #expect(try read("").servers == [EndpointAddress(host: "127.0.0.1", port: 53)])
        #expect(
            try SystemResolver.read(path: "/nonexistent/resolv.conf").servers
                == [EndpointAddress(host: "127.0.0.1", port: 53)])
    }

    @Test(
        "a short name is asked for as written, then within each domain",
        arguments: [
            ("users", 1, false, ["users", "users.a.local", "users.b"]),
            ("users", 1, true, ["users"]),
            ("users", 0, false, ["users"]),
            ("users.demo", 1, false, ["users.demo"]),
            ("users.demo", 2, false, ["users.demo", "users.demo.a.local", "users.demo.b"]),
            ("a.b.c.d.e", 5, false, ["a.b.c.d.e", "a.b.c.d.e.a.local", "a.b.c.d.e.b"]),
            ("a.b.c.d.e.f", 5, false, ["a.b.c.d.e.f"]),
        ])
    func candidates(text: String, ndots: Int, isAbsolute: Bool, expected: [String]) throws {
        let list = SearchList(domains: [try name("a.local"), try name("b")], ndots: ndots)
        #expect(list.candidates(for: try name(text), isAbsolute: isAbsolute).map(\.description) == expected)
    }

    @Test("without a search list a name stands for itself")
    func none() throws {
        #expect(SearchList.none.candidates(for: try name("users"), isAbsolute: false) == [try name("users")])
    }

    @Test("a domain that makes the name too long is left out, the others are not")
    func tooLong() throws {
        let long = try name(String(repeating: "a.", count: 125) + "a")
        let list = SearchList(domains: [long, try name("b")], ndots: 1)
        #expect(list.candidates(for: try name("users"), isAbsolute: false).map(\.description) == ["users", "users.b"])
    }

    @Test("six domains are tried at most")
    func manyDomains() throws {
        let list = SearchList(domains: try (1...8).map { try name("d\($0)") }, ndots: 1)
        let candidates = list.candidates(for: try name("users"), isAbsolute: false)
        #expect(candidates.count == 7)
        #expect(candidates.last?.description == "users.d6")
    }
}
