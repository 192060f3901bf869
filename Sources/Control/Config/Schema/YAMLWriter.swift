/// Writes block YAML of the kind that the loader reads.
struct YAMLWriter {
    private(set) var text = ""
    private var depth = 0
    /// Set between a list's dash and its first key, which go on the same line.
    private var followsDash = false

    /// `key: value`.
    /// - Parameter value: YAML text already, see ``yamlText(_:)``.
    mutating func pair(_ key: String, _ value: String) {
        beginLine()
        text += "\(yamlKey(key)): \(value)\n"
    }

    /// `key: [value, value]`.
    mutating func list<Value>(_ key: String, _ values: [Value], _ syntax: ValueSyntax<Value>) {
        pair(key, "[" + values.map { syntax.render($0) }.joined(separator: ", ") + "]")
    }

    /// `key:` and what `body` writes, one level deeper; `key: {}` when that is nothing.
    mutating func section(_ key: String, _ body: (inout YAMLWriter) -> Void) {
        var inner = YAMLWriter()
        inner.depth = depth + 1
        body(&inner)
        if inner.text.isEmpty {
            pair(key, "{}")
        } else {
            beginLine()
            text += "\(yamlKey(key)):\n\(inner.text)"
        }
    }

    /// One element of a list: a dash and what `body` writes behind it.
    mutating func element(_ body: (inout YAMLWriter) -> Void) {
        var inner = YAMLWriter()
        inner.depth = depth + 1
        inner.followsDash = true
        body(&inner)
        text += String(repeating: "  ", count: depth) + "- " + (inner.text.isEmpty ? "{}\n" : inner.text)
    }

    private mutating func beginLine() {
        if followsDash {
            followsDash = false
        } else {
            text += String(repeating: "  ", count: depth)
        }
    }
}

/// A string as a YAML value, quoted where it has to be; `$` is doubled, since values are searched for variables.
func yamlText(_ text: String) -> String {
    yamlKey(text.split(separator: "$", omittingEmptySubsequences: false).joined(separator: "$$"))
}

/// A string as a YAML key, quoted where it has to be.
func yamlKey(_ text: String) -> String {
    let isWord = text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "/"), UInt8(ascii: ":"):
            true
        default: false
        }
    }
    // What another YAML reader would take for a number, a boolean or null is quoted too.
    let first = text.first ?? "-"
    let startsPlain = first.isLetter || first == "/" || first == "_" || first.isNumber && text.contains(":")
    let words = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"]
    if isWord, startsPlain, !words.contains(text.lowercased()), !text.hasSuffix(":") { return text }
    var quoted = "\""
    for character in text {
        if character == "\"" || character == "\\" { quoted += "\\" }
        quoted.append(character)
    }
    return quoted + "\""
}
