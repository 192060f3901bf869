package import FoundationEssentials

/// What discovery saw and did for one cluster, the newest last: bounded, in memory.
package struct Timeline: Sendable {
    package struct Entry: Sendable {
        /// When it was first seen.
        package let time: Date
        /// When it was last seen, ``count`` times in a row.
        package var lastTime: Date
        package var count = 1
        /// The discovery URL that it comes from; nil for what concerns the cluster as a whole.
        package let source: String?
        package let event: DiscoveryEvent
    }

    /// Entries kept; the oldest go first.
    package static let capacity = 200
    /// Entries that may stand between two sights of one event that are told as one: an answer and its misses come in
    /// pairs.
    private static let lookBack = 2

    package private(set) var entries: [Entry] = []

    package init() {}

    /// - Returns: whether this is news, and not the repetition of what the source said last.
    @discardableResult
    package mutating func append(_ event: DiscoveryEvent, source: String?, at time: Date) -> Bool {
        let recent = entries.indices.suffix(Self.lookBack)
        if let index = recent.last(where: { entries[$0].event == event && entries[$0].source == source }) {
            entries[index].count += 1
            entries[index].lastTime = time
            return false
        }
        if entries.count == Self.capacity { entries.removeFirst() }
        entries.append(Entry(time: time, lastTime: time, source: source, event: event))
        return true
    }
}
