/// One rule: which requests go to which cluster. All conditions that are set must hold.
package struct Route: Sendable, Equatable {
    /// Shown in messages and metrics; the configuration's own order number when it has no name.
    package let name: String
    package let authority: AuthorityMatch
    package let path: PathMatch
    /// Index into ``Snapshot/clusters``.
    package let clusterIndex: Int
    /// What becomes of its exchanges. One object for all workers.
    package let plan: RoutePlan

    package init(
        name: String, authority: AuthorityMatch = .any, path: PathMatch = .any, clusterIndex: Int,
        plan: RoutePlan = .plain
    ) {
        self.name = name
        self.plan = plan
        self.authority = authority
        self.path = path
        self.clusterIndex = clusterIndex
    }
}

/// A condition on `:authority`. Host names are compared without regard to ASCII case (RFC 9110, 4.2.3).
package enum AuthorityMatch: Sendable, Equatable {
    case any
    /// `users` or `users.local`: the host, whatever the port. `users:50051`: host and port.
    case exact([UInt8])
    /// `*.demo.local`: one label or more in front of the suffix; kept as `.demo.local`.
    case suffix([UInt8])

    /// Parses the form used in configuration. The pattern is lower-cased here, once.
    package init(pattern: String) {
        let bytes = pattern.utf8.map(asciiLowercased)
        if pattern.isEmpty || pattern == "*" {
            self = .any
        } else if bytes.starts(with: "*.".utf8) {
            self = .suffix(Array(bytes.dropFirst()))
        } else {
            self = .exact(bytes)
        }
    }

    package func matches(_ authority: Span<UInt8>) -> Bool {
        switch self {
        case .any:
            return true
        case .exact(let pattern):
            if equalIgnoringCase(authority, pattern.span) { return true }
            // A pattern without a port is for every port.
            return !hasPort(pattern.span)
                && equalIgnoringCase(authority.extracting(first: hostLength(of: authority)), pattern.span)
        case .suffix(let suffix):
            let length = hasPort(suffix.span) ? authority.count : hostLength(of: authority)
            guard length > suffix.count else { return false }
            return equalIgnoringCase(authority.extracting(length - suffix.count..<length), suffix.span)
        }
    }
}

/// A condition on `:path`, compared byte by byte with what is forwarded (no normalisation; gRPC paths have none).
package enum PathMatch: Sendable, Equatable {
    case any
    /// Every path that begins with these bytes. A gRPC service is the prefix `/package.Service/`.
    case prefix([UInt8])
    /// Exactly this path, a query aside. A gRPC method is `/package.Service/Method`.
    case exact([UInt8])

    /// All methods of a gRPC service, or one of them.
    package init(service: String, method: String? = nil) {
        if let method {
            self = .exact(Array("/\(service)/\(method)".utf8))
        } else {
            self = .prefix(Array("/\(service)/".utf8))
        }
    }

    package func matches(_ path: Span<UInt8>) -> Bool {
        switch self {
        case .any:
            return true
        case .prefix(let prefix):
            return starts(path, with: prefix.span)
        case .exact(let expected):
            guard starts(path, with: expected.span) else { return false }
            return path.count == expected.count || path[expected.count] == UInt8(ascii: "?")
        }
    }
}

/// The routes in the order of the configuration; the first that matches wins.
package struct RouteTable: Sendable {
    package let routes: [Route]

    package init(_ routes: [Route]) {
        self.routes = routes
    }

    /// The first route whose conditions hold, or nil.
    package func match(authority: Span<UInt8>, path: Span<UInt8>) -> Route? {
        firstIndex(authority: authority, path: path).map { routes[$0] }
    }

    /// The same as an index into ``routes``: on the path of a request a copy of the route would count the references
    /// in it, which all workers share.
    package func firstIndex(authority: Span<UInt8>, path: Span<UInt8>) -> Int? {
        for index in routes.indices where routes[index].path.matches(path) && routes[index].authority.matches(authority)
        {
            return index
        }
        return nil
    }
}

private let colon = UInt8(ascii: ":")
private let closeBracket = UInt8(ascii: "]")

/// Where the port's colon stands: the last one that is not inside brackets.
private func portColon(in authority: Span<UInt8>) -> Int? {
    var index = authority.count - 1
    while index >= 0 {
        let byte = authority[index]
        if byte == colon { return index }
        if byte == closeBracket { return nil }
        index -= 1
    }
    return nil
}

private func hasPort(_ authority: Span<UInt8>) -> Bool {
    portColon(in: authority) != nil
}

private func hostLength(of authority: Span<UInt8>) -> Int {
    portColon(in: authority) ?? authority.count
}

private func asciiLowercased(_ byte: UInt8) -> UInt8 {
    byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
}

private func starts(_ bytes: Span<UInt8>, with prefix: Span<UInt8>) -> Bool {
    guard bytes.count >= prefix.count else { return false }
    for index in prefix.indices where bytes[index] != prefix[index] { return false }
    return true
}

/// - Parameter lowercased: already in lower case.
private func equalIgnoringCase(_ bytes: Span<UInt8>, _ lowercased: Span<UInt8>) -> Bool {
    guard bytes.count == lowercased.count else { return false }
    for index in bytes.indices where asciiLowercased(bytes[index]) != lowercased[index] { return false }
    return true
}
