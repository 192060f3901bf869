import DNS
import Policy

extension DiscoverySource {
    /// Parses `dns://name:port` (also `dns:///name:port`), `srv://_grpc._tcp.name`, `file:///etc/ekiden/tasks.yaml`
    /// and `static://10.0.0.1:9001,10.0.0.2:9001`.
    /// - Parameter defaultPort: the cluster's `port`, taken where a `dns` or `static` text names none; nil makes that
    ///   an error.
    package init(parsing text: String, defaultPort: Int? = nil) throws(ValueSyntaxError) {
        guard let separator = text.firstRange(of: "://") else {
            throw ValueSyntaxError("\(quoted(text)) is not a discovery URL", hint: Self.hintForBare(text))
        }
        let scheme = String(text[..<separator.lowerBound])
        let rest = text[separator.upperBound...]
        switch scheme {
        case "dns": self = try Self.dns(rest, text, defaultPort)
        case "srv": self = try Self.srv(rest, text)
        case "file": self = try Self.file(rest, text)
        case "static": self = try Self.fixed(rest, text, defaultPort)
        default:
            let hint = Suggestion.hint(for: scheme, among: ["dns", "srv", "file", "static"])
            throw ValueSyntaxError("\(quoted(text)): unknown scheme \(quoted(scheme))", hint: hint)
        }
    }

    /// What a text without `://` may have meant.
    private static func hintForBare(_ text: String) -> String {
        let path = text.hasPrefix("file:") ? text.dropFirst("file:".count) : text[...]
        if path.hasPrefix("/"), path.count > 1 { return "write file://\(printable(String(path)))" }
        return text.isEmpty ? "write dns://name:port" : "write dns://name:port or static://address:port"
    }

    private static func dns(
        _ rest: Substring, _ text: String, _ defaultPort: Int?
    ) throws(ValueSyntaxError) -> DiscoverySource {
        let parts = try name(
            rest, text, form: "dns://name:port", path: "write dns://name:port; name servers are set by dns.servers")
        guard let port = parts.port ?? defaultPort else {
            throw ValueSyntaxError("\(quoted(text)) has no port", hint: "write dns://\(parts.host):50051")
        }
        return .dns(name: parts.host, port: port)
    }

    private static func srv(_ rest: Substring, _ text: String) throws(ValueSyntaxError) -> DiscoverySource {
        let form = "srv://_grpc._tcp.name"
        let parts = try name(rest, text, form: form, path: "write \(form); name servers are set by dns.servers")
        guard parts.port == nil else {
            let hint = "SRV records hold the port; write srv://\(parts.host)"
            throw ValueSyntaxError("\(quoted(text)) has a port", hint: hint)
        }
        return .srv(name: parts.host)
    }

    /// A DNS name and perhaps a port.
    /// - Parameters:
    ///   - form: of the whole URL, for hints.
    ///   - path: the hint for a name with a path.
    private static func name(
        _ rest: Substring, _ text: String, form: String, path: String
    ) throws(ValueSyntaxError) -> HostAndPort {
        // gRPC writes the name as a path, `dns:///name`, because its authority would be a name server.
        let target = rest.hasPrefix("/") ? rest.dropFirst() : rest
        if target.contains("/") { throw ValueSyntaxError("\(quoted(text)) has a path", hint: path) }
        let parts = try HostAndPort(parsing: String(target), ports: 1...65_535)
        if parts.isBracketed || IPAddress(text: parts.host) != nil {
            let hint = "write static://\(target)"
            throw ValueSyntaxError("\(quoted(text)) names an address, which needs no DNS", hint: hint)
        }
        if parts.host.isEmpty { throw ValueSyntaxError("\(quoted(text)) has no name", hint: "write \(form)") }
        if DNSName(parts.host) == nil {
            throw ValueSyntaxError("\(quoted(text)): \(quoted(parts.host)) is not a DNS name")
        }
        return parts
    }

    /// The path is taken as it is: no percent-encoding, no host.
    private static func file(_ rest: Substring, _ text: String) throws(ValueSyntaxError) -> DiscoverySource {
        let example = "file:///etc/ekiden/tasks.yaml"
        guard !rest.isEmpty else { throw ValueSyntaxError("\(quoted(text)) has no path", hint: "write \(example)") }
        guard rest.hasPrefix("/") else {
            let isPlain = rest.first?.isLetter == true && !rest.hasPrefix("localhost/")
            let meant = isPlain ? "file:///\(printable(String(rest)))" : example
            throw ValueSyntaxError("\(quoted(text)) has no absolute path", hint: "three slashes: \(meant)")
        }
        if rest.hasSuffix("/") { throw ValueSyntaxError("\(quoted(text)) is a folder", hint: "write \(example)") }
        guard !rest.unicodeScalars.contains(where: isInvisible) else {
            throw ValueSyntaxError("\(quoted(text)) holds a character that cannot be seen")
        }
        return .file(path: String(rest))
    }

    private static func fixed(
        _ rest: Substring, _ text: String, _ defaultPort: Int?
    ) throws(ValueSyntaxError) -> DiscoverySource {
        var addresses: [EndpointAddress] = []
        for part in rest.split(separator: ",", omittingEmptySubsequences: false) {
            if part.isEmpty {
                let hint = "write static://10.0.0.1:9001,10.0.0.2:9001"
                throw ValueSyntaxError("\(quoted(text)) has an empty address", hint: hint)
            }
            let address = try EndpointAddress(parsing: String(part), defaultPort: defaultPort)
            if addresses.contains(address) {
                throw ValueSyntaxError("\(quoted(text)) names \(address) twice")
            }
            addresses.append(address)
        }
        return .fixed(addresses)
    }
}
