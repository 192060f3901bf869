import DNS
package import Policy

extension ListenAddress {
    /// Parses `127.0.0.1:15001`, `[::1]:15001`, `:15001` (all IPv4 addresses), `localhost:15001` (127.0.0.1) and
    /// `unix:/run/ekiden.sock`. Port 0 takes a free one.
    package init(parsing text: String) throws(ValueSyntaxError) {
        if text.hasPrefix("unix:") {
            var path = text.dropFirst("unix:".count)
            if path.hasPrefix("//") { path = path.dropFirst(2) }
            // sockaddr_un has 108 bytes, one of them for the end.
            let limit = 107
            if path.isEmpty {
                throw ValueSyntaxError("\(quoted(text)) has no path", hint: "write unix:/run/ekiden.sock")
            }
            // The address is also the name of a listener that has none of its own.
            try checkName(String(path))
            guard path.utf8.count <= limit else {
                throw ValueSyntaxError("\(quoted(text)) is longer than the \(limit) bytes of a socket's path")
            }
            self = .unix(path: String(path))
            return
        }
        let parts = try HostAndPort(parsing: text, ports: 0...65_535)
        guard let port = parts.port else {
            throw ValueSyntaxError("\(quoted(text)) has no port", hint: "write 127.0.0.1:15001, [::1]:15001 or :15001")
        }
        switch parts.host {
        case "" where !parts.isBracketed: self = .ip(host: "0.0.0.0", port: port)
        case "localhost": self = .ip(host: "127.0.0.1", port: port)
        default: self = .ip(host: try parts.address().description, port: port)
        }
    }

    /// Whether only processes of this machine can connect.
    package var isLoopback: Bool {
        switch self {
        case .ip(let host, _): host.hasPrefix("127.") || host == "::1"
        case .unix: true
        }
    }
}

extension EndpointAddress {
    /// Parses `10.0.0.1:9001` and `[fd00::1]:9001`.
    /// - Parameter defaultPort: taken when the text names none; nil makes that an error.
    package init(parsing text: String, defaultPort: Int? = nil) throws(ValueSyntaxError) {
        let parts = try HostAndPort(parsing: text, ports: 1...65_535)
        let address = try parts.reachableAddress(of: text)
        guard let port = parts.port ?? defaultPort else {
            throw ValueSyntaxError("\(quoted(text)) has no port", hint: "write \(parts.shownHost):9001")
        }
        self.init(host: address.description, port: port)
    }
}

/// `host:port` taken apart; the host is still any text.
struct HostAndPort {
    let host: String
    let port: Int?
    /// Whether the host stood in brackets, as IPv6 literals must.
    let isBracketed: Bool

    /// - Parameter ports: those allowed.
    init(parsing text: String, ports: ClosedRange<Int>) throws(ValueSyntaxError) {
        let colon: Character = ":"
        var portText: Substring?
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else {
                throw ValueSyntaxError("\(quoted(text)) has no closing ']'")
            }
            host = String(text[text.index(after: text.startIndex)..<end])
            isBracketed = true
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.first == colon else {
                let message = "\(quoted(text)) has \(quoted(String(rest))) after ']'"
                throw ValueSyntaxError(message, hint: "write [::1]:15001")
            }
            portText = rest.isEmpty ? nil : rest.dropFirst()
        } else {
            let parts = text.split(separator: colon, omittingEmptySubsequences: false)
            guard parts.count <= 2 else {
                throw ValueSyntaxError("\(quoted(text)) has more than one ':'", hint: "write IPv6 as [::1]:15001")
            }
            host = String(parts[0])
            isBracketed = false
            portText = parts.count == 2 ? parts[1] : nil
        }
        port = try portText.map { (digits) throws(ValueSyntaxError) in
            try Self.port(String(digits), in: ports, of: text)
        }
    }

    private static func port(
        _ digits: String, in ports: ClosedRange<Int>, of text: String
    ) throws(ValueSyntaxError) -> Int {
        let isNumber = !digits.isEmpty && digits.utf8.allSatisfy { "0123456789".utf8.contains($0) }
        guard isNumber else {
            throw ValueSyntaxError("\(quoted(text)): \(quoted(digits)) is not a port")
        }
        guard let port = Int(digits), ports.contains(port) else {
            let hint = "from \(ports.lowerBound) to \(ports.upperBound)"
            throw ValueSyntaxError("\(quoted(text)): port \(quoted(digits)) is out of range", hint: hint)
        }
        return port
    }

    /// The host as it stands in front of a port.
    var shownHost: String { isBracketed ? "[\(host)]" : host }

    /// The host as the address that it has to be.
    func address() throws(ValueSyntaxError) -> IPAddress {
        guard let address = IPAddress(text: host) else {
            let hint = "names are resolved only in dns:// URLs"
            throw ValueSyntaxError("\(quoted(host)) is not an IP address", hint: hint)
        }
        if isBracketed, case .v4 = address {
            throw ValueSyntaxError("\(quoted(shownHost)) is not an IPv6 address", hint: "only IPv6 stands in brackets")
        }
        return address
    }

    /// The address of a task; one task has one form, the same that discovery gives it.
    /// - Parameter text: the whole, for the message.
    func reachableAddress(of text: String) throws(ValueSyntaxError) -> IPAddress {
        let address = try address().unmapped
        guard address.isUsable else {
            throw ValueSyntaxError("\(quoted(text)): nobody can be reached at \(address)")
        }
        return address
    }
}

extension ValueSyntax<ListenAddress> {
    static let listenAddress = ValueSyntax("an address") { (text) throws(ValueSyntaxError) in
        try ListenAddress(parsing: text)
    } render: {
        yamlText($0.description)
    }
}

extension ValueSyntax<EndpointAddress> {
    /// A name server; port 53 when none is given.
    static let nameServer = ValueSyntax("an IP address and port") { (text) throws(ValueSyntaxError) in
        try EndpointAddress(parsing: text, defaultPort: 53)
    } render: {
        yamlText($0.description)
    }
}
