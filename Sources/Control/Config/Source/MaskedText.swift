/// The source as Yams is shown it: some characters replaced one for one by characters of a private-use plane that the
/// source cannot hold, so that every position stays what it was.
struct MaskedText {
    private static let star: Unicode.Scalar = "\u{F0000}"
    private static let questionMark: Unicode.Scalar = "\u{F0001}"
    /// Hidden letters take this and the next ones, up to the end of ``SourceText/reserved``.
    private static let firstHidden: UInt32 = 0xF0010

    private var scalars: [Unicode.Scalar]
    private var originals: [Unicode.Scalar: Unicode.Scalar]
    /// Where ``hideFirstLetter(at:in:)`` was used.
    private(set) var hidden: [SourcePosition] = []

    init(_ source: SourceText) {
        originals = [Self.star: "*", Self.questionMark: "?"]
        scalars = source.scalars.map { scalar in
            switch scalar {
            case "*": Self.star
            case "?": Self.questionMark
            default: scalar
            }
        }
    }

    /// The whole text for the parser.
    var text: String {
        var text = ""
        text.unicodeScalars.append(contentsOf: scalars)
        return text
    }

    /// Whether a scalar that Yams read begins with a `*` of the source.
    static func beginsWithStar(_ text: String) -> Bool {
        text.unicodeScalars.first == star
    }

    /// What Yams read, with the characters of the source.
    func restore(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { SourceText.reserved.contains($0.value) }) else { return text }
        var restored = ""
        restored.unicodeScalars.append(contentsOf: text.unicodeScalars.map { originals[$0] ?? $0 })
        return restored
    }

    /// Replaces the first letter of the key at `position` by a character that no other key has.
    /// - Returns: whether there was a letter.
    mutating func hideFirstLetter(at position: SourcePosition, in source: SourceText) -> Bool {
        guard var index = source.index(of: position) else { return false }
        if scalars[index] == "\"" || scalars[index] == "'" { index += 1 }
        guard index < scalars.count, scalars[index].properties.isAlphabetic || scalars[index] == "_",
            let standIn = Unicode.Scalar(Self.firstHidden + UInt32(hidden.count))
        else { return false }
        originals[standIn] = scalars[index]
        scalars[index] = standIn
        hidden.append(position)
        return true
    }
}
