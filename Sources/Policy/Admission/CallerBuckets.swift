import Synchronization

/// The token buckets of a route's callers, shared by all workers, in memory that does not grow.
///
/// A caller's bucket lives in one of the sixteen places of its set, and each shard of sets has a lock, which is held
/// for a look at these places. A bucket that is full again says nothing, so its place may be taken. When all places of
/// a set are in use, the bucket that is nearest to full is forgotten: that caller gains the least by it, and callers
/// that come under ever new names drive out each other and not those over their limit.
final class CallerBuckets: Sendable {
    private let bucket: TokenBucket
    private let shards: [Shard]
    private let setCount: Int
    /// Places of each set.
    private let places: Int

    private static let placesMax = 16
    private static let shardsMax = 64

    private final class Shard: Sendable {
        let entries: Mutex<[Entry]>

        init(count: Int) {
            entries = Mutex(Array(repeating: Entry(caller: 0, fullAt: TokenBucket.full), count: count))
        }
    }

    private struct Entry {
        var caller: UInt64
        var fullAt: Int64
    }

    /// - Parameter maxCallers: callers that are remembered at a time. Sets are half filled by so many, so that few of
    ///   them overflow before all are there.
    init(_ bucket: TokenBucket, maxCallers: Int) {
        self.bucket = bucket
        let callers = max(maxCallers, 1)
        places = min(callers, Self.placesMax)
        setCount = callers <= Self.placesMax ? 1 : (2 * callers + Self.placesMax - 1) / Self.placesMax
        let shardCount = min(setCount, Self.shardsMax)
        let setsPerShard = (setCount + shardCount - 1) / shardCount
        let count = setsPerShard * places
        shards = (0..<shardCount).map { _ in Shard(count: count) }
    }

    /// Takes a token of the caller's bucket, if the rest agrees.
    /// - Parameters:
    ///   - caller: an evenly spread hash of who it is.
    ///   - now: nanoseconds of the monotonic clock.
    ///   - rest: asked only when there is a token; when it refuses, the bucket is as before.
    /// - Returns: the caller's or the rest's refusal, or nil.
    func take(caller: UInt64, now: Int64, _ rest: () -> RouteLimiter.Refusal?) -> RouteLimiter.Refusal? {
        let set = Int(caller.multipliedFullWidth(by: UInt64(setCount)).high)
        let shard = shards[set % shards.count]
        let start = set / shards.count * places
        return shard.entries.withLock { entries in
            var place = start
            for candidate in start..<start + places {
                if entries[candidate].caller == caller {
                    place = candidate
                    break
                }
                if entries[candidate].fullAt < entries[place].fullAt { place = candidate }
            }
            let isKnown = entries[place].caller == caller
            switch bucket.take(fullAt: isKnown ? entries[place].fullAt : TokenBucket.full, now: now) {
            case .refused(let wait):
                return RouteLimiter.Refusal(wait: wait, scope: .caller)
            case .taken(let fullAt):
                if let refusal = rest() { return refusal }
                entries[place] = Entry(caller: caller, fullAt: fullAt)
                return nil
            }
        }
    }
}
