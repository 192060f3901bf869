import TestSupport
import Testing

@testable import Control

@Suite("How large a set is that is seen in samples")
struct SetSizeEstimateTests {
    @Test("two samples give what Lincoln and Petersen give: their product by their overlap", arguments: 1...8)
    func lincolnPetersen(overlap: Int) throws {
        let estimate = try #require(SetSizeEstimate(distinct: 16 - overlap, sampleSize: 8, samples: 2))
        #expect(abs(estimate.size - 64 / Double(overlap)) < 1e-6)
    }

    @Test("samples that share nothing say nothing, and neither does one", arguments: [1, 2, 9, 500])
    func noOverlap(samples: Int) {
        #expect(SetSizeEstimate(distinct: 8 * samples, sampleSize: 8, samples: samples) == nil)
        #expect(SetSizeEstimate(distinct: 0, sampleSize: 0, samples: 0) == nil)
    }

    @Test("samples that show the same are the whole, for certain", arguments: [2, 9, 500])
    func whole(samples: Int) {
        let estimate = SetSizeEstimate(distinct: 8, sampleSize: 8, samples: samples)
        #expect(estimate?.size == 8)
        #expect(estimate?.standardError == 0)
    }

    @Test("one shared member in many samples: a large set, and hardly known", arguments: [2, 20, 512])
    func hardlyAnyOverlap(samples: Int) throws {
        let drawn = 8 * samples
        let estimate = try #require(SetSizeEstimate(distinct: drawn - 1, sampleSize: 8, samples: samples))
        let shown = SetSizeEstimate.expectedDistinct(size: estimate.size, sampleSize: 8, samples: samples)
        #expect(abs(shown - Double(drawn - 1)) < 1e-3)
        #expect(estimate.standardError > estimate.size / 2)
        #expect(estimate.standardError < estimate.size * 2)
    }

    @Test("more distinct members are a larger set, never smaller than they; samples of odd sizes too")
    func monotone() throws {
        for samples in [2, 3, 5, 10, 31, 100, 512] {
            for sampleSize in [1, 2.5, 8, 64] {
                var before = 0.0
                let drawn = Double(samples) * sampleSize
                let largest = min(Int(drawn.rounded(.up)) - 1, 3_000)
                for distinct in stride(from: Int(sampleSize.rounded(.up)), through: largest, by: 1) {
                    let estimate = try #require(
                        SetSizeEstimate(distinct: distinct, sampleSize: sampleSize, samples: samples))
                    #expect(estimate.size > before)
                    #expect(estimate.size >= Double(distinct))
                    #expect(estimate.standardError.isFinite && estimate.standardError >= 0)
                    before = estimate.size
                }
            }
        }
    }

    @Test(
        "the estimate is right on average, and errs as much as it says",
        arguments: [9, 10, 12, 16, 20, 30, 50, 70, 100], [4, 8, 20])
    func calibration(size: Int, samples: Int) throws {
        var draw = Draw(seed: UInt64(size * 1_000 + samples))
        let runs = 150
        // Above this, many runs have no overlap or one member of it, and their mean says nothing.
        guard size <= samples * 12 else { return }
        var estimates: [SetSizeEstimate] = []
        for _ in 0..<runs {
            let shown = (0..<samples).reduce(into: Set<Int>()) { shown, _ in
                shown.formUnion(draw.sample(8, of: Array(0..<size)))
            }
            estimates.append(
                try #require(SetSizeEstimate(distinct: shown.count, sampleSize: 8, samples: samples)))
        }
        let expected = SetSizeEstimate.expectedDistinct(size: Double(size), sampleSize: 8, samples: samples)
        let typical = SetSizeEstimate(distinct: Int(expected.rounded()), sampleSize: 8, samples: samples)
        let error = max(try #require(typical).standardError, 0.5)
        let mean = estimates.reduce(0) { $0 + $1.size } / Double(runs)
        // The estimate has a bias of its own of about half a variance by the size.
        let bias = error * error / Double(size)
        #expect(abs(mean - Double(size)) < 4 * error / Double(runs).squareRoot() + bias)
        let far = estimates.count { abs($0.size - Double(size)) > 4 * max($0.standardError, 0.5) }
        #expect(far <= runs / 25)
    }

    @Test(
        "the misses that expire a member of a set seen by eights: what luck needs, and the margin",
        arguments: [
            (size: 8, byLuck: 1, misses: 9), (9, 7, 11), (10, 9, 13), (12, 13, 17), (16, 20, 24), (20, 28, 31),
            (30, 45, 50), (50, 80, 88), (100, 166, 183), (270, 460, 506),
        ])
    func misses(size: Int, byLuck: Int, misses: Int) {
        #expect(AbsenceRule.misses(size: Double(size), sampleSize: 8) == misses)
        #expect(misses > byLuck)
        // All are seen, as they are in so many samples.
        #expect(AbsenceRule.suffices(distinct: size, sampleSize: 8, samples: misses))
        #expect(!AbsenceRule.suffices(distinct: size, sampleSize: 8, samples: misses - 1))
    }

    @Test("absence is enough exactly when the raised estimate makes it rarer than one in a million")
    func sameAsTheEstimate() {
        for samples in [1, 2, 5, 9, 10, 13, 20, 31, 60, 150, 512] {
            for distinct in 8...300 {
                let estimate = SetSizeEstimate(distinct: distinct, sampleSize: 8, samples: samples)
                let isEnough = AbsenceRule.suffices(distinct: distinct, sampleSize: 8, samples: samples)
                let needed = estimate.map { AbsenceRule.misses(size: $0.size, sampleSize: 8) }
                #expect(isEnough == needed.map { samples >= $0 } ?? false, "\(samples) \(distinct)")
            }
        }
    }
}

/// Draws samples as Route 53 does: each member as often as any other.
struct Draw {
    private var random: SeededGenerator

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
    }

    mutating func sample<Member>(_ count: Int, of members: [Member]) -> Set<Member> {
        var members = members
        var drawn: Set<Member> = []
        for index in 0..<min(count, members.count) {
            members.swapAt(index, Int.random(in: index..<members.count, using: &random))
            drawn.insert(members[index])
        }
        return drawn
    }

    mutating func number(in range: Range<Int>) -> Int {
        Int.random(in: range, using: &random)
    }
}
