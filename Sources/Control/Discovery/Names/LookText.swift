import Policy

/// How a look is told to people.
enum LookText {
    /// What is counted.
    enum Noun: String {
        case address, record, endpoint

        func plural(_ count: Int) -> String {
            if count == 1 { return rawValue }
            return self == .address ? "addresses" : rawValue + "s"
        }
    }

    /// A line of a thousand addresses helps nobody.
    private static let namesShown = 8

    /// `8 of about 20 addresses from 10.0.0.2:53`. Without the TTL, which counts down: a repeated answer must have the
    /// same text.
    static func answer(_ answers: [TakenAnswer], of coverage: Coverage, noun: Noun) -> String {
        let count = answers.reduce(0) { $0 + $1.count }
        let isCut = answers.contains(where: \.isCut)
        var text = "\(count)"
        if isCut {
            text += coverage.estimated.map { " of about \(Int($0.rounded()))" } ?? " of an unknown number of"
        }
        text += " \(noun.plural(isCut ? 0 : count))"
        var servers: [String] = []
        for answer in answers where !servers.contains(answer.server.description) {
            servers.append(answer.server.description)
        }
        text += " from \(servers.joined(separator: " and "))"
        if isCut, !answers.contains(where: \.isNewSample) { text += ", repeated by a cache" }
        return text
    }

    /// `10.0.0.4 10.0.0.9 and 3 more`.
    static func list(_ names: [String]) -> String {
        let more = names.count > namesShown ? " and \(names.count - namesShown) more" : ""
        return names.prefix(namesShown).joined(separator: " ") + more
    }

    /// `10.0.0.4 (5 times) 10.0.0.9 (once)`.
    static func missed(_ names: [(name: String, misses: Int)]) -> String {
        list(names.map { "\($0.name) (\($0.misses == 1 ? "once" : "\($0.misses) times"))" })
    }

    /// One line for each number of misses: `10.0.0.4: missing from 28 answers in a row`.
    static func expired(_ names: [(name: String, misses: Int)]) -> [String] {
        Dictionary(grouping: names, by: \.misses).sorted { $0.key > $1.key }.map { misses, members in
            let answers = misses == 1 ? "an answer" : "\(misses) answers in a row"
            return "\(list(members.map(\.name))): missing from \(answers)"
        }
    }

    /// `3 endpoints`.
    static func count(_ count: Int, _ noun: Noun) -> String { "\(count) \(noun.plural(count))" }
}
