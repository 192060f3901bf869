extension ValueSyntax<String> {
    /// The name of a listener, route or cluster: for messages; that of a cluster also for metrics.
    static let name = ValueSyntax("a name") { (text) throws(ValueSyntaxError) in
        try checkName(text)
        return text
    } render: {
        yamlText($0)
    }

    /// `users.local`, `users.local:50051`, `*.local` or `*`; see ``Policy/AuthorityMatch``.
    static let authority = ValueSyntax("an authority") { (text) throws(ValueSyntaxError) in
        if text == "*" { return text }
        let host = text.hasPrefix("*.") ? text.dropFirst(2) : text[...]
        let form = "write users.local, users.local:50051 or *.local"
        guard !host.isEmpty, !host.contains("*"), host.utf8.allSatisfy(isVisibleASCII), !host.contains("/") else {
            throw ValueSyntaxError("\(quoted(text)) is not an authority", hint: form)
        }
        return text
    } render: {
        yamlText($0)
    }

    /// A gRPC service with its package: `demo.v1.Users`.
    static let grpcService = ValueSyntax("a gRPC service") { (text) throws(ValueSyntaxError) in
        guard isDottedName(text) else {
            throw ValueSyntaxError("\(quoted(text)) is not a gRPC service", hint: "write package.Service")
        }
        return text
    } render: {
        yamlText($0)
    }

    /// A method's name alone: `GetUser`.
    static let grpcMethod = ValueSyntax("a gRPC method") { (text) throws(ValueSyntaxError) in
        guard isDottedName(text), !text.contains(".") else {
            let hint = "write its name alone, without the service"
            throw ValueSyntaxError("\(quoted(text)) is not a gRPC method", hint: hint)
        }
        return text
    } render: {
        yamlText($0)
    }

    /// The beginning of `:path`: `/users`.
    static let pathPrefix = ValueSyntax("a path prefix") { (text) throws(ValueSyntaxError) in
        guard text.hasPrefix("/") else {
            throw ValueSyntaxError("\(quoted(text)) does not begin with '/'", hint: "did you mean '/\(text)'?")
        }
        guard text.utf8.allSatisfy(isVisibleASCII), !text.contains("?"), !text.contains("#") else {
            throw ValueSyntaxError("\(quoted(text)) is not a path prefix", hint: "percent-encode what is not a letter")
        }
        return text
    } render: {
        yamlText($0)
    }
}

/// Names go into metrics, messages and log lines.
func checkName(_ text: String) throws(ValueSyntaxError) {
    let limit = 128
    if text.isEmpty { throw ValueSyntaxError("a name cannot be empty") }
    guard text.utf8.count <= limit else {
        throw ValueSyntaxError("\(quoted(text)) is longer than \(limit) bytes")
    }
    guard text.unicodeScalars.allSatisfy({ !isInvisible($0) && !$0.properties.isWhitespace && $0 != "\"" }) else {
        throw ValueSyntaxError("\(quoted(text)) is not a name", hint: "names have no spaces and no quotes")
    }
}

/// Identifiers of Protocol Buffers, joined by dots.
func isDottedName(_ text: String) -> Bool {
    text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { part in
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        guard let first = part.utf8.first, !digits.contains(first) else { return false }
        return part.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
    }
}

private func isVisibleASCII(_ byte: UInt8) -> Bool {
    byte > 0x20 && byte < 0x7F
}
