import HTTP2
import Policy
import Testing

@testable import DataPlane

@Suite("What is read out of a request")
struct RequestFactsTests {
    private static func block(_ fields: [(String, String)]) -> HeaderBlock {
        let block = HeaderBlock()
        for (name, value) in fields { block.append(name: name.utf8, value: value.utf8) }
        return block
    }

    private static func verdict(_ fields: [(String, String)]) -> String {
        switch RequestFacts.check(block(fields), limits: Limits()) {
        case .serve: "serve"
        case .reply(let failure): "\(failure.kind)"
        case .reset(let code): "\(code)"
        }
    }

    private static let plain = [
        (":method", "POST"), (":scheme", "http"), (":path", "/echo.Echo/Say"), (":authority", "echo.local:50051"),
    ]

    /// A plain request with one pseudo field changed.
    private static func request(_ name: String, _ value: String) -> [(String, String)] {
        plain.map { $0.0 == name ? (name, value) : $0 }
    }

    private static let paths: [(value: String, verdict: String)] = [
        ("/", "serve"), ("*", "serve"), ("/a/b.c/D_-~", "serve"), ("/a?b=c&d=%20", "serve"), ("/a//b/../c", "serve"),
        ("/a#b", "PROTOCOL_ERROR"), ("/a\\b", "PROTOCOL_ERROR"), ("/a b", "PROTOCOL_ERROR"),
        ("/a\tb", "PROTOCOL_ERROR"),
        ("/ä", "PROTOCOL_ERROR"), ("/a\u{7f}", "PROTOCOL_ERROR"), ("", "PROTOCOL_ERROR"),
    ]

    @Test("a path is printable ASCII without fragment or backslash", arguments: paths)
    func path(value: String, verdict: String) {
        #expect(Self.verdict(Self.request(":path", value)) == verdict)
    }

    private static let authorities: [(value: String, verdict: String)] = [
        ("echo", "serve"), ("echo:80", "serve"), ("[::1]:80", "serve"), ("10.0.0.1", "serve"), ("", "serve"),
        // gRPC clients with several addresses name all of them.
        ("10.0.0.1:80,10.0.0.2:80", "serve"),
        ("user@echo", "PROTOCOL_ERROR"), ("echo/path", "PROTOCOL_ERROR"), ("echo?x", "PROTOCOL_ERROR"),
        ("echo#x", "PROTOCOL_ERROR"), ("echo\\x", "PROTOCOL_ERROR"), ("e cho", "PROTOCOL_ERROR"),
        ("ë", "PROTOCOL_ERROR"),
    ]

    @Test("an authority is printable ASCII without user information or path", arguments: authorities)
    func authority(value: String, verdict: String) {
        #expect(Self.verdict(Self.request(":authority", value)) == verdict)
    }

    private static let methods: [(value: String, verdict: String)] = [
        ("GET", "serve"), ("POST", "serve"), ("M-SEARCH", "serve"), ("CONNECT", "methodRefused"),
        ("get", "PROTOCOL_ERROR"),
        ("G3T", "PROTOCOL_ERROR"), ("", "PROTOCOL_ERROR"), ("GET ", "PROTOCOL_ERROR"),
    ]

    @Test("a method is in upper case, and CONNECT is refused", arguments: methods)
    func method(value: String, verdict: String) {
        #expect(Self.verdict(Self.request(":method", value)) == verdict)
    }

    @Test(
        "the scheme is one of HTTP's",
        arguments: [("http", true), ("https", true), ("ftp", false), ("HTTP", false), ("", false)])
    func scheme(value: String, isServed: Bool) {
        #expect(Self.verdict(Self.request(":scheme", value)) == (isServed ? "serve" : "PROTOCOL_ERROR"))
    }

    @Test("host must say what :authority says")
    func host() {
        #expect(Self.verdict(Self.plain + [("host", "echo.local:50051")]) == "serve")
        #expect(Self.verdict(Self.plain + [("host", "ECHO.local:50051")]) == "serve")
        #expect(Self.verdict(Self.plain + [("host", "other.local")]) == "PROTOCOL_ERROR")
        #expect(Self.verdict(Self.plain.dropLast() + [("host", "other.local")]) == "serve")
        #expect(Self.verdict(Self.plain.dropLast()) == "serve")
    }

    @Test(
        "names that stand only once may not stand twice",
        arguments: ["te", "content-type", "grpc-timeout", "grpc-encoding"])
    func duplicates(name: String) {
        #expect(Self.verdict(Self.plain + [(name, "a")]) == "serve")
        #expect(Self.verdict(Self.plain + [(name, "a"), (name, "a")]) == "PROTOCOL_ERROR")
    }

    private static let types: [(value: String?, isGRPC: Bool)] = [
        ("application/grpc", true), ("application/grpc+proto", true), ("application/grpc+json", true),
        ("application/grpc;charset=utf-8", true), ("Application/GRPC", true), ("APPLICATION/GRPC+proto", true),
        ("application/grpcx", false), ("application/grpc-web", false), ("application/grpc-web+proto", false),
        ("application/grp", false), ("application/json", false), ("", false), (nil, false),
        (" application/grpc", false),
        ("application/grpc ", false),
    ]

    @Test("gRPC is application/grpc, alone or before + or ;", arguments: types)
    func grpc(value: String?, isGRPC: Bool) {
        #expect(RequestFacts.isGRPC(Self.block(value.map { [("content-type", $0)] } ?? [])) == isGRPC)
    }

    @Test("HEAD is HEAD")
    func head() {
        #expect(RequestFacts.isHead(Self.block([(":method", "HEAD")])))
        #expect(!RequestFacts.isHead(Self.block([(":method", "HEADS")])))
        #expect(!RequestFacts.isHead(Self.block([])))
    }

    private static let numbers: [(text: String, number: Int?)] = [
        ("0", 0), ("16", 16), ("007", 7), ("999999999", 999_999_999), ("1000000000", nil), ("", nil), ("-1", nil),
        ("1 ", nil),
        ("a", nil),
    ]

    @Test("a number is decimal, of at most nine digits", arguments: numbers)
    func number(text: String, number: Int?) {
        let read = Array(text.utf8).withUnsafeBufferPointer { RequestFacts.number($0) }
        #expect(read == number)
    }
}
