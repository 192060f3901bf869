import Testing

@testable import Policy

@Suite("grpc-timeout")
struct GRPCTimeoutTests {
    private static let legal: [(text: String, nanoseconds: Int64)] = [
        ("1H", 3_600_000_000_000), ("1M", 60_000_000_000), ("1S", 1_000_000_000), ("1m", 1_000_000), ("1u", 1_000),
        ("1n", 1),
        ("0S", 0), ("00000001S", 1_000_000_000), ("100m", 100_000_000), ("99999999n", 99_999_999),
        ("99999999S", 99_999_999_000_000_000),
    ]

    @Test("digits and a unit", arguments: legal)
    func timeout(text: String, nanoseconds: Int64) {
        #expect(GRPCTimeout.nanoseconds(Array(text.utf8).span) == nanoseconds)
    }

    private static let nonsense = [
        "", "1", "S", "m", "1s", "1h", "1 S", " 1S", "1S ", "-1S", "+1S", "1.5S", "1e3S", "0x1S", "123456789S", "1SS",
        "S1",
        "１S", "1\0", "\u{0}S", ":S", "/S", "000000001S",
    ]

    @Test("anything else is no timeout", arguments: nonsense)
    func noTimeout(text: String) {
        #expect(GRPCTimeout.nanoseconds(Array(text.utf8).span) == nil)
    }

    @Test(
        "the longest timeouts can be added to any reading of the clock",
        arguments: ["99999999H", "99999999M", "80063993H"])
    func longest(text: String) throws {
        let nanoseconds = GRPCTimeout.nanoseconds(Array(text.utf8).span)
        let timeout = try #require(nanoseconds)
        // A century of uptime, and nine years at least.
        #expect(!timeout.addingReportingOverflow(100 * 365 * 86_400 * 1_000_000_000).overflow)
        #expect(timeout >= 9 * 365 * 86_400 * 1_000_000_000)
    }

    @Test("durations are counted in whole nanoseconds and cut where they do not fit")
    func durations() {
        #expect(Duration.seconds(2).nanoseconds == 2_000_000_000)
        #expect(Duration.milliseconds(1_500).nanoseconds == 1_500_000_000)
        #expect(Duration.nanoseconds(7).nanoseconds == 7)
        #expect(Duration.zero.nanoseconds == 0)
        #expect(Duration.milliseconds(-1_500).nanoseconds == -1_500_000_000)
        #expect(Duration.seconds(Int64.max).nanoseconds == .max)
        #expect(Duration.seconds(-Int64.max).nanoseconds == .min)
    }

    @Test("a duration at the very edge does not turn negative")
    func edge() {
        let almost = Duration(
            secondsComponent: 9_223_372_036, attosecondsComponent: 900_000_000_000_000_000)
        #expect(almost.nanoseconds == .max)
    }
}

@Suite("What is left of a deadline")
struct GRPCTimeoutTextTests {
    @Test(
        "is written in the finest unit that seven digits hold, rounded down",
        arguments: [
            (1, "1n"), (9_999_999, "9999999n"), (10_000_000, "10000u"), (1_234_567_890, "1234567u"),
            (10_000_000_000, "10000m"), (86_400_000_000_000, "86400S"), (3_600_000_000_000_000, "3600000S"),
            (1 << 58, "4803839M"), (0, "1n"), (-5, "1n"),
        ] as [(Int64, String)])
    func text(nanoseconds: Int64, expected: String) {
        let text = GRPCTimeout.text(nanoseconds)
        #expect(String(decoding: Array(text), as: UTF8.self) == expected)
        #expect(text.count == expected.utf8.count)
    }

    @Test("is a timeout, never more than is left, and within a ten-thousandth of it")
    func roundTrip() {
        var random = SplitMix64(seed: 3)
        for _ in 0..<20_000 {
            let left = Int64(random.next() >> (6 + UInt64(random.next() % 50))) + 1
            let read = GRPCTimeout.nanoseconds(Array(GRPCTimeout.text(left)).span) ?? -1
            #expect(read <= left && Double(read) >= Double(left) * 0.9999)
        }
    }
}
