import DNS
import Policy

extension DiscoverySource {
    /// Parses `dns://name:port` (also `dns:///name:port`) and `static://10.0.0.1:9001,10.0.0.2:9001`.
    /// - Parameter defaultPort: the cluster's `port`, taken where the text names none; nil makes that an error.
    package init(parsing text: String, defaultPort: Int? = nil) throws(ValueSyntaxError) {
        guard let separator = text.firstRange(of: "://") else {
            let hint = text.isEmpty ? "write dns://name:port" : "write dns://name:port or static://address:port"
            throw ValueSyntaxError("\(quoted(text)) is not a discovery URL", hint: hint)
        }
        let scheme = String(text[..<separator.lowerBound])
        let rest = text[separator.upperBound...]
        switch scheme {
        case "dns": self = try Self.dns(rest, text, defaultPort)
        case "static": self = try Self.fixed(rest, text, defaultPort)
        default:
            let hint = Suggestion.hint(for: scheme, among: ["dns", "static"])
            throw ValueSyntaxError("\(quoted(text)): unknown scheme \(quoted(scheme))", hint: hint)
        }
    }

    private static func dns(
        _ rest: Substring, _ text: String, _ defaultPort: Int?
    ) throws(ValueSyntaxError) -> DiscoverySource {
        // gRPC writes the name as a path, `dns:///name`, because its authority would be a name server.
        let target = rest.hasPrefix("/") ? rest.dropFirst() : rest
        if target.contains("/") {
            let hint = "write dns://name:port; name servers are set by dns.servers"
            throw ValueSyntaxError("\(quoted(text)) has a path", hint: hint)
        }
        let parts = try HostAndPort(parsing: String(target), ports: 1...65_535)
        if parts.isBracketed || IPAddress(text: parts.host) != nil {
            let hint = "write static://\(target)"
            throw ValueSyntaxError("\(quoted(text)) names an address, which needs no DNS", hint: hint)
        }
        if parts.host.isEmpty { throw ValueSyntaxError("\(quoted(text)) has no name", hint: "write dns://name:port") }
        if DNSName(parts.host) == nil {
            throw ValueSyntaxError("\(quoted(text)): \(quoted(parts.host)) is not a DNS name")
        }
        guard let port = parts.port ?? defaultPort else {
            throw ValueSyntaxError("\(quoted(text)) has no port", hint: "write dns://\(parts.host):50051")
        }
        return .dns(name: parts.host, port: port)
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
