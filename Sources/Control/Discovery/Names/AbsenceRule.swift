#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// When absence from samples tells that a member is gone.
enum AbsenceRule {
    /// The chance to be missed as often as that by luck, from which on absence is believed.
    static let chance = 1e-6
    /// A window of samples that is shorter than this proves nothing, however many they are: a resolver may repeat a
    /// stale answer.
    static let shortestAbsence: Duration = .seconds(30)
    /// The same where only repetitions of one set speak for it, and more than ``suddenShare`` of the known members
    /// would leave at once. A set that shrank to the size of an answer looks like that, but so does a resolver that
    /// serves stale answers during an outage (RFC 8767), or that gives its cached answers too short a TTL.
    static let longestRepetition: Duration = .seconds(600)
    /// Up to this share of the known members may leave at the usual pace: a deployment that replaces one task of eight.
    static let suddenShare = 0.25
    /// What the estimated size is raised by: this many members, or ``leastMarginShare`` of it, whichever is more.
    static let leastMargin = 2.0
    static let leastMarginShare = 0.1

    /// Whether the absence from all of `samples` samples is enough, when these showed `distinct` members together.
    ///
    /// The same as to estimate the size, raise it and compare the chance, but without solving an equation, since an
    /// answer asks this for hundreds of windows.
    static func suffices(distinct: Int, sampleSize: Double, samples: Int) -> Bool {
        // The size at which `samples` misses have just the chance, and the estimate that is raised to it.
        let largest = -sampleSize / expm1(log(chance) / Double(samples))
        let limit = min(largest - leastMargin, largest / (1 + leastMarginShare))
        guard limit >= sampleSize, Double(distinct) < limit else { return false }
        let shown = SetSizeEstimate.expectedDistinct(size: limit, sampleSize: sampleSize, samples: samples)
        return Double(distinct) < shown
    }

    /// The misses that are enough in a set that is estimated to have `size` members.
    static func misses(size: Double, sampleSize: Double) -> Int {
        let raised = size + max(leastMargin, size * leastMarginShare)
        return Int((log(chance) / log1p(-sampleSize / raised)).rounded(.up))
    }
}
