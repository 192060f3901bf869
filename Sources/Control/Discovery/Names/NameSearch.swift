import DNS

/// Under which full names a name is looked for, and which one it turned out to be.
struct NameSearch: Sendable {
    let name: DNSName
    /// Whether the configuration has a dot at the name's end: then nothing is searched.
    let isAbsolute: Bool
    private var list: SearchList
    /// The full name that answered first. Another one must not take its place because the server had a hiccup.
    private var settled: DNSName?

    init(name: DNSName, isAbsolute: Bool, list: SearchList) {
        self.name = name
        self.isAbsolute = isAbsolute
        self.list = list
    }

    /// The names to ask for in order: each next one only after NXDOMAIN for the one before.
    var candidates: [DNSName] { settled.map { [$0] } ?? list.candidates(for: name, isAbsolute: isAbsolute) }

    /// Keeps to the name that had records, unless the list has changed meanwhile and does not lead to it.
    mutating func settle(on name: DNSName) {
        if candidates.contains(name) { settled = name }
    }

    /// Takes another list; a settled name that it does not lead to is given up.
    mutating func use(_ list: SearchList) {
        self.list = list
        if let settled, !list.candidates(for: name, isAbsolute: isAbsolute).contains(settled) { self.settled = nil }
    }
}
