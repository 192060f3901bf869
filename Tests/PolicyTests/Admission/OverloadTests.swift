import TestSupport
import Testing

@testable import Policy

@Suite("Overload")
struct OverloadTests {
    private static let millisecond: Int64 = 1_000_000

    private func guardian(_ change: (inout OverloadSettings) -> Void = { _ in }, workers: Int = 2) -> OverloadGuard {
        var settings = OverloadSettings()
        settings.maxStreams = 100
        change(&settings)
        return OverloadGuard(
            settings, workers: workers, bufferLimit: 1_000, descriptorLimit: 1_000, descriptorsInUse: 10)
    }

    private func load(
        lag: Int64 = 0, streams: Int = 0, bufferedBytes: Int = 0, taskConnections: Int = 0
    ) -> OverloadGuard.WorkerLoad {
        OverloadGuard.WorkerLoad(
            lag: lag * Self.millisecond, streams: streams, bufferedBytes: bufferedBytes,
            taskConnections: taskConnections)
    }

    // MARK: Lag

    /// The median after a timer of 100 ms that was late by so many milliseconds, time after time.
    private func median(_ lags: [Int64]) -> Int64 {
        var window = LagWindow()
        var now: Int64 = 1_000_000_000_000
        for lag in lags {
            now += (100 + lag) * Self.millisecond
            window.note(lag * Self.millisecond, now: now)
        }
        return window.median / Self.millisecond
    }

    private static let lagTable: [(lags: [Int64], median: Int64)] = [
        ([], 0), ([900], 0), ([900, 900, 900, 900], 0), ([900, 900, 900, 900, 900], 900),
        // A process that was stopped for three seconds, and one that was twice.
        (Array(repeating: 1, count: 30) + [3_000], 1), ([1, 1, 1, 3_000, 3_000], 1), ([3_000, 1, 1, 1, 1], 1),
        // It takes about two seconds of lag to be believed, and one second without to be over.
        (Array(repeating: 0, count: 30) + Array(repeating: 300, count: 2), 0),
        (Array(repeating: 0, count: 30) + Array(repeating: 300, count: 5), 300),
        (Array(repeating: 300, count: 30) + Array(repeating: 0, count: 2), 300),
        (Array(repeating: 300, count: 30) + Array(repeating: 0, count: 8), 0),
    ]

    @Test("lag is what it is in the middle: a pause of any length moves nothing", arguments: lagTable)
    func lag(lags: [Int64], expected: Int64) {
        #expect(median(lags) == expected)
    }

    @Test("a loop that is on time has a window of two seconds, not of all time")
    func windowIsBounded() {
        #expect(median(Array(repeating: 400, count: 1_000) + Array(repeating: 0, count: 11)) == 0)
    }

    // MARK: Guard

    @Test("a worker hears of its own lag, and of what the workers have in hand together")
    func judges() {
        let guardian = guardian()
        #expect(guardian.judge(load(), of: 0) == nil)
        #expect(guardian.judge(load(lag: 251), of: 0) == .loopLag(251 * Self.millisecond))
        #expect(guardian.judge(load(lag: 250), of: 1) == nil)
        #expect(guardian.highestLag == 251 * Self.millisecond)
        #expect(guardian.judge(load(streams: 99), of: 0) == nil)
        #expect(guardian.judge(load(streams: 1), of: 1) == .streams(100))
        #expect(guardian.judge(load(streams: 0, bufferedBytes: 950), of: 1) == nil)
        #expect(guardian.judge(load(bufferedBytes: 1), of: 0) == .buffers(951, limit: 1_000))
        #expect(guardian.judge(load(), of: 1) == nil)
        #expect(guardian.highestLag == 0)
    }

    @Test("callers' connections are refused before the last descriptors are gone, requests are not")
    func descriptors() {
        let guardian = guardian()
        #expect(guardian.judge(load(taskConnections: 500), of: 0) == nil)
        guardian.noteDescriptors(440)
        #expect(guardian.connectionRefusal == nil)
        guardian.noteDescriptors(1)
        #expect(guardian.connectionRefusal == .descriptors(951, limit: 1_000))
        #expect(guardian.judge(load(taskConnections: 500), of: 0) == nil)
        guardian.noteDescriptors(-1)
        #expect(guardian.connectionRefusal == nil)
    }

    @Test("switched off it refuses nothing, and neither does an idle one")
    func disabled() {
        for guardian in [guardian { $0.isEnabled = false }, OverloadGuard.idle(workers: 2)] {
            guardian.noteDescriptors(100_000)
            let judgement = guardian.judge(
                load(lag: 10_000, streams: 1_000_000, bufferedBytes: 1 << 50, taskConnections: 1_000_000), of: 0)
            #expect(judgement == nil)
            #expect(guardian.connectionRefusal == nil)
            #expect(guardian.highestLag == 10_000 * Self.millisecond)
        }
    }

    private static let textTable: [(OverloadReason, String)] = [
        (.loopLag(312_900_000), "its event loop runs 312 ms late"),
        (.streams(100_000), "100000 exchanges are in flight"),
        (.buffers(961, limit: 1_000), "96 % of 1000 bytes for bodies are in use"),
        (.descriptors(983, limit: 1_024), "95 % of 1024 descriptors are in use"),
    ]

    @Test("the reason is said in words", arguments: textTable)
    func texts(reason: OverloadReason, text: String) {
        #expect(reason.text == text)
    }

    // MARK: Shedding

    private func refused(_ shedding: LoadShedding) -> Int {
        var random = SplitMix64(seed: 4)
        return (0..<10_000).count { _ in shedding.refuses(&random) }
    }

    @Test("lag refuses more while it lasts, and less and less after it")
    func sheddingOfLag() {
        var shedding = LoadShedding()
        #expect(refused(shedding) == 0)
        shedding.update(.loopLag(1))
        #expect((1_800...2_200).contains(refused(shedding)))
        shedding.update(.loopLag(1))
        #expect((3_800...4_200).contains(refused(shedding)))
        for _ in 0..<10 { shedding.update(.loopLag(2)) }
        #expect(refused(shedding) == 10_000)
        shedding.update(nil)
        #expect(shedding.reason == .loopLag(2))
        #expect((9_300...9_700).contains(refused(shedding)))
        for _ in 0..<20 { shedding.update(nil) }
        #expect(shedding == LoadShedding())
    }

    @Test("a limit that is reached refuses everything, until it is not")
    func sheddingAtLimits() {
        var shedding = LoadShedding()
        shedding.update(.streams(100))
        #expect(refused(shedding) == 10_000)
        shedding.update(nil)
        #expect(shedding == LoadShedding())
        // Nothing of it is taken over by lag.
        shedding.update(.buffers(1, limit: 1))
        shedding.update(nil)
        shedding.update(.loopLag(1))
        #expect((1_800...2_200).contains(refused(shedding)))
    }

    // MARK: Coming back

    @Test("refused callers are told to come back at different times")
    func pushback() {
        var random = SplitMix64(seed: 2)
        let soon = (0..<1_000).map { _ in Pushback.soon(&random) }
        #expect(soon.allSatisfy { $0 >= .milliseconds(100) && $0 <= .milliseconds(1_000) })
        #expect(Set(soon).count > 500)
        for (wait, least) in [(1, 1), (1_000_000, 1), (1_000_001, 2), (70_000_000, 70)] as [(Int64, Int64)] {
            let after = (0..<1_000).map { _ in Pushback.after(wait, &random) }
            #expect(after.min() == .milliseconds(least))
            #expect(after.max() == .milliseconds(2 * least))
        }
    }
}
