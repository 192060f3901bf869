package import FoundationEssentials

/// What discovery saw and did for one cluster, the newest last: bounded, in memory.
package struct Timeline: Sendable {
    package struct Entry: Sendable {
        /// When it was first seen.
        package let time: Date
        /// When it was last seen, ``count`` times in a row.
        package fileprivate(set) var lastTime: Date
        package fileprivate(set) var count = 1
        /// The discovery URL that it comes from; nil for what concerns the cluster as a whole.
        package let source: String?
        /// As it was seen last.
        package fileprivate(set) var event: DiscoveryEvent
    }

    /// Entries kept; the oldest go first.
    package static let capacity = 200

    package private(set) var entries: [Entry] = []

    package init() {}

    /// - Returns: whether this is news, and not the repetition of what the source said last.
    @discardableResult
    package mutating func append(_ event: DiscoveryEvent, source: String?, at time: Date) -> Bool {
        if let index = repeated(event, source) {
            entries[index].count += 1
            entries[index].lastTime = time
            entries[index].event = event
            return false
        }
        if entries.count == Self.capacity { entries.removeFirst() }
        entries.append(Entry(time: time, lastTime: time, source: source, event: event))
        return true
    }

    /// The entry that this event repeats. Answers that change nothing would else push out what did: they are told once,
    /// and so are their misses, of which the last count.
    private func repeated(_ event: DiscoveryEvent, _ source: String?) -> Int? {
        for index in entries.indices.reversed() {
            let entry = entries[index]
            if entry.source == source, entry.event.kind == event.kind {
                return event.kind == .missed || entry.event == event ? index : nil
            }
            guard entry.event.kind == .answer || entry.event.kind == .missed else { return nil }
        }
        return nil
    }
}
