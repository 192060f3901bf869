/// The nearest of the words that would have been right.
enum Suggestion {
    /// The candidate that `word` is most likely a slip of, or nil when none is near (one edit for three letters).
    static func nearest(to word: String, among candidates: some Sequence<String>) -> String? {
        let limit = 64
        let lowered = Array(word.lowercased().utf8)
        guard !lowered.isEmpty, lowered.count <= limit else { return nil }
        var best: (candidate: String, distance: Int)?
        for candidate in candidates where candidate.utf8.count <= limit {
            let allowed = max(1, max(lowered.count, candidate.utf8.count) / 3)
            let distance = editDistance(lowered, Array(candidate.lowercased().utf8))
            if distance <= allowed, distance < best?.distance ?? .max {
                best = (candidate, distance)
            }
        }
        return best?.candidate
    }

    /// What other proxies call a key, for words that are too far from ours to be slips of them.
    private static let synonyms = [
        "retries": "retry", "retry_policy": "retry", "hedge": "hedging", "hedge_policy": "hedging",
        "lb_policy": "balance", "load_balancing": "balance", "outlier": "outlier_detection",
    ]

    /// As a hint: `did you mean 'listen'?`, or the candidates when none is near and they are few.
    static func hint(for word: String, among candidates: [String]) -> String? {
        let synonym = synonyms[word.lowercased()].flatMap { candidates.contains($0) ? $0 : nil }
        if let meant = synonym ?? nearest(to: word, among: candidates) { return "did you mean '\(meant)'?" }
        let readable = 12
        guard !candidates.isEmpty, candidates.count <= readable else { return nil }
        return "expected " + candidates.map(printable).joined(separator: ", ")
    }

    /// Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment).
    static func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        if left.isEmpty || right.isEmpty { return max(left.count, right.count) }
        var beforeLast = [Int](repeating: 0, count: right.count + 1)
        var last = Array(0...right.count)
        for row in 1...left.count {
            var current = [row]
            current.reserveCapacity(right.count + 1)
            for column in 1...right.count {
                let cost = left[row - 1] == right[column - 1] ? 0 : 1
                var distance = min(last[column] + 1, current[column - 1] + 1, last[column - 1] + cost)
                if row > 1, column > 1, left[row - 1] == right[column - 2], left[row - 2] == right[column - 1] {
                    distance = min(distance, beforeLast[column - 2] + 1)
                }
                current.append(distance)
            }
            beforeLast = last
            last = current
        }
        return last[right.count]
    }
}
