import Policy

extension ValueSyntax<Double> {
    /// A decimal number inside `range`.
    static func decimal(_ range: ClosedRange<Double>) -> ValueSyntax {
        ValueSyntax("a number") { (text) throws(ValueSyntaxError) in
            // Double's own parser also takes hexadecimal, `inf` and `nan`. An exponent is how it prints small numbers.
            let isDecimal = text.utf8.allSatisfy { "0123456789.e-".utf8.contains($0) }
            guard isDecimal, let value = Double(text) else {
                throw ValueSyntaxError("\(quoted(text)) is not a number", hint: hintForPercentage(text))
            }
            if range.contains(value) { return value }
            let (low, high) = (decimalText(range.lowerBound), decimalText(range.upperBound))
            throw ValueSyntaxError.outOfRange(text, from: low, to: high)
        } render: {
            decimalText($0)
        }
    }
}

/// Without `.0` behind a whole number.
func decimalText(_ value: Double) -> String {
    Int(exactly: value).map(String.init) ?? value.description
}

extension ValueSyntax<RouteTimeout> {
    /// `cluster`, `off`, or a duration.
    static let routeTimeout = ValueSyntax("a duration, 'cluster' or 'off'") { (text) throws(ValueSyntaxError) in
        switch text {
        case "cluster": .cluster
        case "off": .none
        default: .after(try ValueSyntax<Duration>.age.orElse("off", text))
        }
    } render: { timeout in
        switch timeout {
        case .cluster: "cluster"
        case .none: "off"
        case .after(let duration): duration.configurationText
        }
    }
}

extension ValueSyntax<Duration> {
    fileprivate func orElse(_ word: String, _ text: String) throws(ValueSyntaxError) -> Duration {
        do throws(ValueSyntaxError) {
            return try parse(text)
        } catch {
            throw error.or(word)
        }
    }
}

extension ValueSyntax<BalancePolicy> {
    /// The words for weights are those of other proxies.
    static let balance = ValueSyntax(choice.noun) { (text) throws(ValueSyntaxError) in
        do throws(ValueSyntaxError) {
            return try choice.parse(text)
        } catch {
            guard text.hasPrefix("weighted") else { throw error }
            throw ValueSyntaxError(error.message, hint: "round_robin goes by weight")
        }
    } render: {
        $0.rawValue
    }
}

extension ValueSyntax<String> {
    /// The name of a header field, in lower case as HTTP/2 has it.
    static let headerName = ValueSyntax("a header's name") { (text) throws(ValueSyntaxError) in
        guard !text.isEmpty, text.utf8.allSatisfy(isTokenByte) else {
            throw ValueSyntaxError("\(quoted(text)) is not a header's name", hint: "write it like x-user")
        }
        let lowercased = text.lowercased()
        guard text == lowercased else {
            let hint = "did you mean '\(printable(lowercased))'?"
            throw ValueSyntaxError("\(quoted(text)) is not in lower case, as names are in HTTP/2", hint: hint)
        }
        return text
    } render: {
        yamlText($0)
    }

    /// The `:path` of a health check, a query included.
    static let healthPath = ValueSyntax("a path") { (text) throws(ValueSyntaxError) in
        guard text.hasPrefix("/"), text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), !text.contains("#") else {
            throw ValueSyntaxError("\(quoted(text)) is not a path", hint: "write it like /health")
        }
        return text
    } render: {
        yamlText($0)
    }

    /// What an attribute of an endpoint must be: any text.
    static let attributeValue = ValueSyntax("a text") { (text) throws(ValueSyntaxError) in
        text
    } render: {
        yamlText($0)
    }

    /// A method of a gRPC service: `Get`, or `demo.v1.Users/Get`.
    static let methodOfService = ValueSyntax("a gRPC method") { (text) throws(ValueSyntaxError) in
        if text.hasPrefix("/"), text.count > 1 {
            let hint = "did you mean '\(printable(String(text.dropFirst())))'?"
            throw ValueSyntaxError("\(quoted(text)) begins with '/'", hint: hint)
        }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 2, let method = parts.last, isDottedName(method), !method.contains("."),
            isDottedName(parts[0])
        else {
            let hint = "write Get, or package.Service/Get"
            throw ValueSyntaxError("\(quoted(text)) is not a gRPC method", hint: hint)
        }
        return text
    } render: {
        yamlText($0)
    }

    /// A gRPC service, or nothing for the task as a whole.
    static let healthService = ValueSyntax("a gRPC service, or \"\" for the task as a whole") {
        (text) throws(ValueSyntaxError) in
        text.isEmpty ? text : try grpcService.parse(text)
    } render: {
        yamlText($0)
    }
}

/// Of a header field's name (RFC 9110, 5.6.2).
private func isTokenByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
    default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
}

extension ValueSyntax<HashKeySource> {
    /// `peer`, or `header:x-user`.
    static let hashKey = ValueSyntax("'peer' or 'header:NAME'") { (text) throws(ValueSyntaxError) in
        if text == "peer" { return .peer }
        guard text.hasPrefix("header:") else {
            throw ValueSyntaxError("\(quoted(text)) is nothing to hash", hint: "write peer, or header:x-user")
        }
        let name = text.dropFirst("header:".count)
        return .header(try ValueSyntax<String>.headerName.parse(String(name)))
    } render: { source in
        switch source {
        case .peer: "peer"
        case .header(let name): yamlText("header:\(name)")
        }
    }
}

/// The header that asks for a fault, and the value that it must have if one is given.
struct FaultHeader: Sendable {
    var name: String
    var value: String?
}

extension FaultPolicy {
    var condition: FaultHeader? {
        get { header.map { FaultHeader(name: $0.name, value: $0.value) } }
        set { header = newValue.map { (name: $0.name, value: $0.value) } }
    }
}

extension ValueSyntax<FaultHeader> {
    /// `x-fault`, or `x-fault: on`.
    static let faultHeader = ValueSyntax("a header") { (text) throws(ValueSyntaxError) in
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let name = try ValueSyntax<String>.headerName.parse(parts.first.map(String.init) ?? "")
        guard parts.count == 2 else { return FaultHeader(name: name, value: nil) }
        let value = String(parts[1].drop { $0 == " " })
        guard !value.isEmpty, !value.hasSuffix(" "), value.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) else {
            let hint = "write 'x-fault', or 'x-fault: on'"
            throw ValueSyntaxError("\(quoted(text)) has no value of a header behind the colon", hint: hint)
        }
        return FaultHeader(name: name, value: value)
    } render: { header in
        yamlText(header.value.map { "\(header.name): \($0)" } ?? header.name)
    }
}
