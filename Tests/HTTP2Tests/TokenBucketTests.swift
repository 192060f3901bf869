import Testing

@testable import HTTP2

@Suite("Token bucket")
struct TokenBucketTests {
    private let second: Int64 = 1_000_000_000

    /// What each of a row of takes says.
    private func takes(_ bucket: inout TokenBucket, _ row: [(amount: Int, now: Int64)]) -> [Bool] {
        row.map { bucket.take($0.amount, now: $0.now) }
    }

    @Test("a burst is covered to its last token")
    func burst() {
        var bucket = TokenBucket(burst: 10, ratePerSecond: 5)
        let covered = takes(&bucket, [(4, 7), (6, 7), (1, 7)])
        #expect(covered == [true, true, false])
        #expect(bucket.left == -1)
    }

    @Test("it refills with time, up to the burst")
    func refill() {
        var bucket = TokenBucket(burst: 10, ratePerSecond: 5)
        let covered = takes(&bucket, [(10, 0), (1, second / 10), (4, second), (10, 1_000 * second)])
        #expect(covered == [true, false, true, true])
        #expect(bucket.left == 0)
    }

    @Test("debt is paid before anything is covered")
    func debt() {
        var bucket = TokenBucket(burst: 10, ratePerSecond: 5)
        let covered = takes(&bucket, [(20, 0), (0, second), (0, 2 * second)])
        #expect(covered == [false, false, true])
    }

    @Test("a clock that stands or steps back adds nothing")
    func clock() {
        var bucket = TokenBucket(burst: 10, ratePerSecond: 1_000)
        let covered = takes(&bucket, [(10, 5 * second), (1, 5 * second), (1, second)])
        #expect(covered == [true, false, false])
        #expect(bucket.left == -2)
    }

    @Test("centuries without a call overflow nothing")
    func longSilence() {
        var bucket = TokenBucket(burst: 10_000, ratePerSecond: 330)
        let covered = takes(&bucket, [(10_000, 0), (10_000, .max)])
        #expect(covered == [true, true])
    }

    @Test("slow rates add up over many short intervals")
    func remainder() {
        var bucket = TokenBucket(burst: 1_000, ratePerSecond: 20)
        _ = bucket.take(1_000, now: 0)
        for step in 1...100 { _ = bucket.take(0, now: Int64(step) * second / 100) }
        #expect(bucket.left == 20)
    }

    @Test("the rate is the rate, however often the bucket is asked", arguments: [3, 5, 7, 13])
    func steadyRate(milliseconds: Int64) {
        var bucket = TokenBucket(burst: 10_000, ratePerSecond: 330)
        _ = bucket.take(10_000, now: 0)
        for step in 1...1_000 / milliseconds { _ = bucket.take(0, now: step * milliseconds * 1_000_000) }
        #expect(bucket.left >= 325)
    }
}
