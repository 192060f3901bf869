#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// How large a set is of which only samples are seen.
///
/// Samples of c members out of N, drawn independently and each without repetition, leave a member unseen with the
/// chance q = (1 − c/N)^k after k of them. So they show N·(1 − q) distinct members on average, and the N for which that
/// is the number D that was seen is the estimate. With two samples of which m members are the same it is Lincoln and
/// Petersen's c²/m.
struct SetSizeEstimate: Sendable, Equatable {
    /// Never less than the members that were seen.
    let size: Double
    /// The deviation of D divided by the slope of N·(1 − q) in N (the delta method). 0 when each sample shows all.
    let standardError: Double

    /// Nil when no member was seen twice: then the set may have any size.
    ///
    /// - Parameters:
    ///   - distinct: D, the different members that the samples showed together.
    ///   - sampleSize: c, the members of one sample; the mean, when they differ.
    ///   - samples: k, at least 1.
    init?(distinct: Int, sampleSize: Double, samples: Int) {
        let seen = Double(distinct)
        guard distinct > 0, sampleSize > 0, samples > 0, seen < sampleSize * Double(samples) - Self.tolerance else {
            return nil
        }
        // The expectation is concave in N: Newton's steps from the left go up to the solution and never past it.
        var size = max(seen, sampleSize)
        for _ in 0..<Self.stepsMax {
            let shortfall = seen - Self.expectedDistinct(size: size, sampleSize: sampleSize, samples: samples)
            let slope = Self.slope(size: size, sampleSize: sampleSize, samples: samples)
            guard shortfall > 0, slope > 0 else { break }
            size += shortfall / slope
            if shortfall / slope < size * Self.tolerance { break }
        }
        self.size = size
        let variance = Self.varianceOfDistinct(size: size, sampleSize: sampleSize, samples: samples)
        let slope = Self.slope(size: size, sampleSize: sampleSize, samples: samples)
        standardError = slope > 0 ? variance.squareRoot() / slope : 0
    }

    /// N·(1 − q): the distinct members that `samples` samples of a set of `size` show on average.
    static func expectedDistinct(size: Double, sampleSize: Double, samples: Int) -> Double {
        // Not by pow(): with a large set and few samples, 1 − q would lose its digits.
        -size * expm1(Double(samples) * log1p(-min(sampleSize / size, 1)))
    }

    /// The derivative of ``expectedDistinct(size:sampleSize:samples:)`` in the size.
    private static func slope(size: Double, sampleSize: Double, samples: Int) -> Double {
        let share = min(sampleSize / size, 1)
        let logarithm = log1p(-share)
        let count = Double(samples)
        return -expm1(count * logarithm) - (samples == 1 ? share : count * share * exp((count - 1) * logarithm))
    }

    /// The variance of D. Members are not unseen independently of each other, since a sample holds exactly c of them;
    /// r is the chance that two given ones are both unseen: N·q + N·(N − 1)·r − (N·q)².
    private static func varianceOfDistinct(size: Double, sampleSize: Double, samples: Int) -> Double {
        guard size > 1 else { return 0 }
        let count = Double(samples)
        let unseen = exp(count * log1p(-min(sampleSize / size, 1)))
        let unseenToo = exp(count * log1p(-min(sampleSize / (size - 1), 1)))
        return max(size * unseen * (1 - unseen + (size - 1) * (unseenToo - unseen)), 0)
    }

    private static let stepsMax = 100
    /// Relative for sizes, and far below a member for counts.
    private static let tolerance = 1e-9
}
