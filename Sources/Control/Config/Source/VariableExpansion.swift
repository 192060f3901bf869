/// `${NAME}` and `${NAME:-default}` in values; `$$` stands for one `$`.
///
/// As in a shell the default also replaces an empty variable. A default is taken as it stands: no variables inside it.
struct VariableExpansion {
    /// The text with every variable replaced; those with problems are left out.
    private(set) var text = ""
    private(set) var problems: [Problem] = []

    struct Problem: Equatable {
        /// Characters (Unicode scalars) before the `$` in the original.
        var offset: Int
        var message: String
        var hint: String?
    }

    init(_ original: String, environment: [String: String]) {
        guard original.utf8.contains(UInt8(ascii: "$")) else {
            text = original
            return
        }
        let scalars = Array(original.unicodeScalars)
        var index = 0
        while index < scalars.count {
            guard scalars[index] == "$", index + 1 < scalars.count else {
                text.unicodeScalars.append(scalars[index])
                index += 1
                continue
            }
            switch scalars[index + 1] {
            case "$":
                text += "$"
                index += 2
            case "{":
                let body = scalars[(index + 2)...]
                guard let end = body.firstIndex(of: "}") else {
                    problems.append(
                        Problem(offset: index, message: "'${' without its '}'", hint: "write $$ for a plain $"))
                    return
                }
                expand(body[..<end], at: index, environment)
                index = end + 1
            default:
                text += "$"
                index += 1
            }
        }
    }

    private mutating func expand(_ body: ArraySlice<Unicode.Scalar>, at offset: Int, _ environment: [String: String]) {
        let nameEnd = body.firstIndex { !isNameCharacter($0) } ?? body.endIndex
        let name = string(body[..<nameEnd])
        let rest = string(body[nameEnd...])
        guard let first = body.first, nameEnd > body.startIndex, !("0"..."9").contains(first) else {
            let message = "\(quoted("${" + string(body) + "}")) is not a variable"
            problems.append(Problem(offset: offset, message: message, hint: "write ${NAME} or ${NAME:-default}"))
            return
        }
        let value = environment[name]
        if rest.isEmpty {
            if let value {
                text += value
            } else {
                let message = "environment variable '\(name)' is not set"
                let hint = "set it, or write ${\(name):-default}"
                problems.append(Problem(offset: offset, message: message, hint: hint))
            }
        } else if rest.hasPrefix(":-") {
            let fallback = rest.dropFirst(2)
            if fallback.contains("${") {
                let message = "a default cannot hold a variable of its own"
                problems.append(Problem(offset: offset, message: message))
            } else if let value, !value.isEmpty {
                text += value
            } else {
                text += fallback
            }
        } else {
            let message = "\(quoted(rest)) after the variable's name '\(name)' is not understood"
            problems.append(Problem(offset: offset, message: message, hint: "write ${NAME} or ${NAME:-default}"))
        }
    }
}

private func isNameCharacter(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "a"..."z", "A"..."Z", "0"..."9", "_": true
    default: false
    }
}

private func string(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
    var text = ""
    text.unicodeScalars.append(contentsOf: scalars)
    return text
}
