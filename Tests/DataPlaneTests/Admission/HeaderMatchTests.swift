import HTTP2
import Policy
import Testing

@testable import DataPlane

@Suite("Header matches")
struct HeaderMatchTests {
    private static let request: Fields = [
        (":path", "/a"), ("x-one", "first"), ("x-fault", "delay"), ("x-fault", "Abort"), ("x-empty", ""),
    ]

    private static let table: [(name: String, value: String?, isMatched: Bool)] = [
        ("x-one", nil, true), ("x-one", "first", true), ("x-one", "firs", false), ("x-one", "", false),
        ("x-on", nil, false), ("x-onee", nil, false), ("x-empty", nil, true), ("x-empty", "", true),
        ("x-fault", "delay", true), ("x-fault", "Abort", true), ("x-fault", "abort", false), (":path", "/a", true),
        ("", nil, false),
    ]

    @Test("name and value must be the same, byte for byte", arguments: table)
    func match(name: String, value: String?, isMatched: Bool) {
        let block = HeaderBlock.make(Self.request)
        #expect(block.matches(name: name, value: value) == isMatched)
        var policy = FaultPolicy()
        policy.header = (name, value)
        #expect(block.matches(policy) == isMatched)
    }

    @Test("a policy without a header means every request")
    func everybody() {
        #expect(HeaderBlock.make([]).matches(FaultPolicy()))
    }

    @Test("of a name that stands twice the first value is told")
    func firstValue() {
        let block = HeaderBlock.make(Self.request)
        #expect(block.value(named: "x-fault").map { String(decoding: $0, as: UTF8.self) } == "delay")
        #expect(block.value(named: "x-empty")?.count == 0)
        #expect(block.value(named: "x-none") == nil)
    }
}
