import Policy
import Testing

@testable import Control

@Suite("Values of the configuration")
struct ConfigurationValueTests {
    @Test(
        "durations are read and written back in their largest units",
        arguments: [
            ("0", Duration.zero, "0s"), ("0s", .zero, "0s"), ("250ms", .milliseconds(250), "250ms"),
            ("5s", .seconds(5), "5s"), ("1m30s", .seconds(90), "1m30s"), ("90s", .seconds(90), "1m30s"),
            ("1h", .seconds(3_600), "1h"), ("1h1m1s1ms1us", .seconds(3_661) + .microseconds(1_001), "1h1m1s1ms1us"),
            ("1500ms", .milliseconds(1_500), "1s500ms"), ("48h", .seconds(172_800), "48h"),
        ])
    func durations(text: String, value: Duration, written: String) throws {
        #expect(try Duration(parsing: text) == value)
        #expect(value.configurationText == written)
        #expect(try Duration(parsing: written) == value)
    }

    @Test(
        "what is no duration is refused with the reason",
        arguments: [
            ("", "'' is not a duration"), ("5", "'5' has no unit"), ("5 s", "'5 s' is not a duration"),
            ("s", "'s' is not a duration"), ("-5s", "'-5s' is not a duration"), ("1.5s", "'1.5s' is not a duration"),
            ("5s1m", "'5s1m' is not a duration"), ("1s1s", "'1s1s' is not a duration"),
            ("5S", "'5S' is not a duration"),
            ("1m30", "'1m30' has no unit"), ("5ns", "'5ns' is not a duration"), ("٥s", "'٥s' is not a duration"),
            ("99999999999999999999s", "'99999999999999999999s' is too long a time"),
            ("9223372036854775807h", "'9223372036854775807h' is too long a time"),
        ])
    func badDurations(text: String, message: String) {
        let error = #expect(throws: ValueSyntaxError.self) { try Duration(parsing: text) }
        #expect(error?.message == message)
    }

    @Test(
        "sizes are read in binary units and written back in the largest that fits",
        arguments: [
            ("65536", 65_536, "64KiB"), ("64KiB", 65_536, "64KiB"), ("1MiB", 1 << 20, "1MiB"),
            ("1GiB", 1 << 30, "1GiB"),
            ("1000", 1_000, "1000"), ("7B", 7, "7"), ("0", 0, "0"), ("1536KiB", 1_572_864, "1536KiB"),
        ])
    func sizes(text: String, value: Int, written: String) throws {
        let syntax = ValueSyntax<Int>.bytes(0...(1 << 40))
        #expect(try syntax.parse(text) == value)
        #expect(syntax.render(value) == written)
    }

    @Test(
        "what is no size is refused with the way to write it",
        arguments: [
            ("64KB", "'64KB' is not a size (did you mean '64KiB'?)"),
            ("1m", "'1m' is not a size (did you mean '1MiB'?)"),
            ("KiB", "'KiB' is not a size (write 65536, 64KiB or 1MiB)"),
            ("-1", "'-1' is not a size (write 65536, 64KiB or 1MiB)"),
            ("1025", "'1025' is out of range (from 0 to 1024)"),
            ("9223372036854775807KiB", "'9223372036854775807KiB' is out of range (from 0 to 1024)"),
        ])
    func badSizes(text: String, message: String) {
        let error = #expect(throws: ValueSyntaxError.self) { try ValueSyntax<Int>.bytes(0...1_024).parse(text) }
        #expect(error?.description == message)
    }

    @Test("whole numbers have to be whole, decimal and inside their range")
    func integers() throws {
        let syntax = ValueSyntax<Int>.integer(1...8)
        #expect(try syntax.parse("8") == 8)
        for text in ["0", "9", "-1", "99999999999999999999", "1.0", "0x1", "+1", "", " 1", "1_0", "one"] {
            #expect(throws: ValueSyntaxError.self, "\(text)") { try syntax.parse(text) }
        }
    }

    @Test("ratios are decimal numbers from 0 to 1 and survive being written")
    func ratios() throws {
        let syntax = ValueSyntax<Double>.ratio
        for value in [0, 0.5, 1, 0.1, 1e-7, 0.3333333333333333] {
            #expect(try syntax.parse(syntax.render(value)) == value)
        }
        for text in ["1.1", "-0.1", "nan", "inf", "0x0.1p0", "", "."] {
            #expect(throws: ValueSyntaxError.self, "\(text)") { try syntax.parse(text) }
        }
    }

    @Test(
        "listen addresses",
        arguments: [
            ("127.0.0.1:15001", ListenAddress.ip(host: "127.0.0.1", port: 15_001)),
            (":15001", .ip(host: "0.0.0.0", port: 15_001)), ("[::1]:15001", .ip(host: "::1", port: 15_001)),
            ("[0:0::1]:1", .ip(host: "::1", port: 1)), ("localhost:0", .ip(host: "127.0.0.1", port: 0)),
            ("unix:/run/x.sock", .unix(path: "/run/x.sock")), ("unix:///run/x.sock", .unix(path: "/run/x.sock")),
        ])
    func listenAddresses(text: String, address: ListenAddress) throws {
        #expect(try ListenAddress(parsing: text) == address)
        #expect(try ListenAddress(parsing: address.description) == address)
    }

    @Test(
        "what is no listen address is refused with the reason",
        arguments: [
            ("127.0.0.1", "'127.0.0.1' has no port"), ("15001", "'15001' has no port"),
            ("::1:80", "'::1:80' has more than one ':'"), ("[::1", "'[::1' has no closing ']'"),
            ("[::1]80", "'[::1]80' has '80' after ']'"), ("[127.0.0.1]:80", "'[127.0.0.1]' is not an IPv6 address"),
            ("[]:80", "'' is not an IP address"), ("users:80", "'users' is not an IP address"),
            ("1.2.3:80", "'1.2.3' is not an IP address"),
            ("127.0.0.1:65536", "'127.0.0.1:65536': port '65536' is out of range"),
            ("127.0.0.1:", "'127.0.0.1:': '' is not a port"), (":http", "':http': 'http' is not a port"),
            (":-1", "':-1': '-1' is not a port"), ("unix:", "'unix:' has no path"), ("", "'' has no port"),
            ("unix:/a b", "'/a b' is not a name"), ("\u{1B}[31m:1", "'\\u{1B}[31m' is not an IP address"),
        ])
    func badListenAddresses(text: String, message: String) {
        let error = #expect(throws: ValueSyntaxError.self) { try ListenAddress(parsing: text) }
        #expect(error?.message == message)
    }

    @Test("a socket's path has room for 107 bytes")
    func socketPathLength() throws {
        let longest = "/" + String(repeating: "x", count: 106)
        #expect(try ListenAddress(parsing: "unix:" + longest) == .unix(path: longest))
        #expect(throws: ValueSyntaxError.self) { try ListenAddress(parsing: "unix:\(longest)x") }
    }

    @Test(
        "discovery URLs, with the cluster's port where they have none",
        arguments: [
            ("dns://users.local:50051", DiscoverySource.dns(name: "users.local", port: 50_051)),
            ("dns:///users.local:50051", .dns(name: "users.local", port: 50_051)),
            ("dns://users.local", .dns(name: "users.local", port: 7)),
            ("dns://_x.users.", .dns(name: "_x.users.", port: 7)),
            (
                "static://10.0.0.1:9001,[fd00::0:2]:9002,10.0.0.3",
                .fixed([
                    .init(host: "10.0.0.1", port: 9_001), .init(host: "fd00::2", port: 9_002),
                    .init(host: "10.0.0.3", port: 7),
                ])
            ),
        ])
    func discovery(text: String, source: DiscoverySource) throws {
        #expect(try DiscoverySource(parsing: text, defaultPort: 7) == source)
        #expect(try DiscoverySource(parsing: source.description) == source)
    }

    @Test(
        "what is no discovery URL is refused with the way to write it",
        arguments: [
            (
                "users.local:1",
                "'users.local:1' is not a discovery URL (write dns://name:port or static://address:port)"
            ),
            ("dsn://u:1", "'dsn://u:1': unknown scheme 'dsn' (did you mean 'dns'?)"),
            ("http://u:1", "'http://u:1': unknown scheme 'http' (expected dns, srv, file, static)"),
            ("dns://u", "'dns://u' has no port (write dns://u:50051)"),
            ("dns://u:0", "'u:0': port '0' is out of range (from 1 to 65535)"),
            ("dns://:1", "'dns://:1' has no name (write dns://name:port)"),
            ("dns://a..b:1", "'dns://a..b:1': 'a..b' is not a DNS name"),
            ("dns://10.0.0.1:1", "'dns://10.0.0.1:1' names an address, which needs no DNS (write static://10.0.0.1:1)"),
            (
                "dns://8.8.8.8/u:1",
                "'dns://8.8.8.8/u:1' has a path (write dns://name:port; name servers are set by dns.servers)"
            ),
            ("static://", "'static://' has an empty address (write static://10.0.0.1:9001,10.0.0.2:9001)"),
            ("static://users:1", "'users' is not an IP address (names are resolved only in dns:// URLs)"),
            ("static://10.0.0.1", "'10.0.0.1' has no port (write 10.0.0.1:9001)"),
            ("static://0.0.0.0:1", "'0.0.0.0:1': nobody can be reached at 0.0.0.0"),
            ("static://1.1.1.1:1,1.1.1.1:1", "'static://1.1.1.1:1,1.1.1.1:1' names 1.1.1.1:1 twice"),
        ])
    func badDiscovery(text: String, message: String) {
        let error = #expect(throws: ValueSyntaxError.self) { try DiscoverySource(parsing: text) }
        #expect(error?.description == message)
    }

    @Test(
        "variables are replaced, defaults taken, $$ is one $",
        arguments: [
            ("${A}", "a"), ("x${A}y${A}", "xaya"), ("${NO:-d}", "d"), ("${EMPTY:-d}", "d"), ("${EMPTY}", ""),
            ("${A:-d}", "a"),
            ("${NO:-}", ""), ("$$", "$"), ("$${A}", "${A}"), ("$A", "$A"), ("5$", "5$"), ("${NO:-a:-b}", "a:-b"),
            ("", ""),
        ])
    func variables(text: String, expected: String) {
        let expansion = VariableExpansion(text, environment: ["A": "a", "EMPTY": ""])
        #expect(expansion.problems.isEmpty)
        #expect(expansion.text == expected)
    }

    @Test("a variable's value is not searched for variables")
    func noRecursion() {
        #expect(VariableExpansion("${A}", environment: ["A": "${A}${B}"]).text == "${A}${B}")
    }

    @Test(
        "near misses are found, far ones are not",
        arguments: [
            ("lisen", "listen"), ("Listen", "listen"), ("litsen", "listen"), ("listeners", "listen"), ("xyz", nil),
            ("", nil),
            (String(repeating: "listen", count: 1_000), nil),
        ] as [(String, String?)])
    func suggestions(word: String, nearest: String?) {
        #expect(Suggestion.nearest(to: word, among: ["listen", "name", "via"]) == nearest)
    }
}
