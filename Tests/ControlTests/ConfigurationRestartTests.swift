import Policy
import Testing

@testable import Control

@Suite("Changes of the configuration that take a restart")
struct ConfigurationRestartTests {
    private func keys(_ start: String, _ next: String) throws -> [String] {
        try configuration(withTopLevel(next)).keysForRestart(since: configuration(withTopLevel(start)))
    }

    @Test(
        "what is read at the start only is named",
        arguments: [
            ("admin: {listen: 127.0.0.1:2}", "admin"), ("overload: off", "overload"), ("workers: 2", "workers"),
            ("drain: {delay: 1s}", ""), ("", ""),
        ])
    func keys(lines: String, expected: String) throws {
        let expected = expected.isEmpty ? [] : [expected]
        #expect(try keys("", lines) == expected)
        #expect(try keys(lines, "") == expected)
        #expect(try keys(lines, lines).isEmpty)
    }

    @Test("the tightest budget for buffers of all listeners counts")
    func bufferLimit() throws {
        func start(_ first: String, _ second: String) throws -> Configuration {
            let listeners = [first, second].enumerated().map { index, size in
                "{listen: 127.0.0.1:\(index + 1), limits: {max_buffered_bytes_per_process: \(size)}}"
            }.joined(separator: ", ")
            return try configuration(
                withTopLevel("").replacing("{listen: 127.0.0.1:1}", with: listeners))
        }
        #expect(try start("1GiB", "64MiB").bufferLimit == 64 << 20)
        #expect(try start("1GiB", "64MiB").keysForRestart(since: start("64MiB", "2GiB")).isEmpty)
        let tighter = try start("32MiB", "64MiB").keysForRestart(since: start("1GiB", "64MiB"))
        #expect(tighter == ["max_buffered_bytes_per_process"])
        #expect(Configuration().bufferLimit == Limits().maxBufferedBytesPerProcess)
    }
}
