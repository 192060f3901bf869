import Testing

@testable import Policy

@Suite("Text on the wire")
struct WireTextTests {
    private static let messages: [(text: String, encoded: String)] = [
        ("", ""), ("plain text, with punctuation!", "plain text, with punctuation!"), ("100%", "100%25"),
        ("a\nb", "a%0Ab"),
        ("tab\t\0", "tab%09%00"), ("駅伝", "%E9%A7%85%E4%BC%9D"), ("ü", "%C3%BC"), ("\u{7f}~", "%7F~"),
        (" oops ", " oops "),
    ]

    @Test("a grpc-message keeps printable ASCII and encodes the rest", arguments: messages)
    func percentEncoding(text: String, encoded: String) {
        #expect(String(decoding: PercentEncoding.encode(text, limit: 1_000), as: UTF8.self) == encoded)
    }

    @Test("a message over the limit is cut, never inside an encoded byte", arguments: 0...12)
    func limit(limit: Int) {
        let encoded = PercentEncoding.encode("ab駅c", limit: limit)
        #expect(encoded.count <= limit)
        #expect([0, 1, 2, 5, 8, 11, 12].contains(encoded.count))
        #expect(Array("ab%E9%A7%85c".utf8).starts(with: encoded))
    }

    private static let strings: [(text: String, quoted: String)] = [
        ("", #""""#), ("plain", #""plain""#), ("say \"hi\"", #""say \"hi\"""#), (#"a\b"#, #""a\\b""#),
        ("a\nb\rc\td", #""a\nb\rc\td""#), ("\r\n", #""\r\n""#), ("\0\u{1f}", #""\u0000\u001f""#),
        ("駅\u{301}", "\"駅\u{301}\""),
        ("/", #""/""#),
    ]

    @Test("a JSON string escapes quotes, backslashes and control characters", arguments: strings)
    func json(text: String, quoted: String) {
        #expect(JSONText.quoted(text) == quoted)
    }
}
