/// The latest samples of a set, and how many distinct members the last few of them show, for every number of them.
///
/// Kept is not what each sample showed, but which sample showed a member last. The last k samples show as many distinct
/// members as were shown last by one of them. So a sample costs as much as it has members.
struct AnswerSamples<Member: Hashable & Sendable>: Sendable {
    private struct Sample {
        var time: Duration
        var size: Int
        /// Whether its server had shown the same set shortly before.
        var isRepetition: Bool
        /// Members that no later sample has shown.
        var lastShown: Int
    }

    /// A ring: the sample with number n is at n modulo ``SampleWindow/samplesMax``.
    private var ring: [Sample] = []
    private var nextNumber = 0
    /// The number of the last sample that showed a member, for the samples in the ring.
    private var lastShownBy: [Member: Int] = [:]
    /// As long as an expiry by absence needs, or all samples while they are too few for one.
    private(set) var window = SampleWindow()

    /// - Parameters:
    ///   - isRepetition: whether the same server showed the same set in one of its last samples.
    ///   - time: ``DiscoveryClock`` time, not before the sample before.
    mutating func record(_ members: Set<Member>, isRepetition: Bool, time: Duration) {
        let number = nextNumber
        nextNumber += 1
        let sample = Sample(time: time, size: members.count, isRepetition: isRepetition, lastShown: members.count)
        if ring.count < SampleWindow.samplesMax {
            ring.append(sample)
        } else {
            let oldest = number - SampleWindow.samplesMax
            if ring[number % SampleWindow.samplesMax].lastShown > 0 {
                lastShownBy = lastShownBy.filter { $0.value != oldest }
            }
            ring[number % SampleWindow.samplesMax] = sample
        }
        for member in members {
            if let earlier = lastShownBy.updateValue(number, forKey: member) {
                ring[earlier % SampleWindow.samplesMax].lastShown -= 1
            }
        }
        window = shortestWindow(until: time)
    }

    /// Goes back from the newest sample until absence from all samples on the way is enough.
    ///
    /// A repetition says little: by chance it is rare, and a server that is stuck repeats itself for ever. It does not
    /// count, unless nothing but that one set was seen: then it is the whole set, which just has the size of a sample.
    private func shortestWindow(until now: Duration) -> SampleWindow {
        var window = SampleWindow()
        var counted = 0
        var records = 0
        let newestSize = ring[(nextNumber - 1) % SampleWindow.samplesMax].size
        var isOneSet = true
        for depth in 1...ring.count {
            let sample = ring[(nextNumber - depth) % SampleWindow.samplesMax]
            window.distinct += sample.lastShown
            isOneSet = isOneSet && sample.size == newestSize && window.distinct == newestSize
            if !sample.isRepetition {
                counted += 1
                records += sample.size
            }
            window.restsOnRepetitions = isOneSet && depth > counted
            if isOneSet {
                window.samples = depth
                window.sampleSize = Double(newestSize)
            } else {
                // What the oldest sample repeats is outside the window.
                window.samples = counted + (sample.isRepetition ? 1 : 0)
                window.sampleSize = Double(records + (sample.isRepetition ? sample.size : 0)) / Double(window.samples)
            }
            if now - sample.time >= AbsenceRule.shortestAbsence, window.isEnough {
                window.missesNeeded = depth
                return window
            }
        }
        if ring.count == SampleWindow.samplesMax, let estimate = window.estimate {
            let misses = AbsenceRule.misses(size: estimate.size, sampleSize: window.sampleSize)
            window.missesNeeded = max(misses * ring.count / window.samples, ring.count) + 1
        }
        return window
    }
}

/// The last few samples, counted together.
struct SampleWindow: Sendable, Equatable {
    /// Samples that are remembered; enough for an expiry by absence in a set of 270 that is seen by eights.
    static let samplesMax = 512

    /// Independent samples.
    var samples = 0
    /// Members that were in at least one of them.
    var distinct = 0
    /// The mean number of members in one of them.
    var sampleSize = 0.0
    /// Whether nothing but one set was seen, and its repetitions had to be counted
    /// (``AbsenceRule/longestRepetition``).
    var restsOnRepetitions = false
    /// The samples in a row that a member must be missing from, to be gone; nil when none are enough yet.
    var missesNeeded: Int?

    var estimate: SetSizeEstimate? {
        SetSizeEstimate(distinct: distinct, sampleSize: sampleSize, samples: samples)
    }

    fileprivate var isEnough: Bool {
        AbsenceRule.suffices(distinct: distinct, sampleSize: sampleSize, samples: samples)
    }
}
