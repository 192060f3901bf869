package import Policy

/// Why a lookup gave no answer, as a value.
package struct DNSFailure: Error, Hashable, Sendable {
    package let kind: Kind
    package let name: String
    /// The server that said so; nil when none was reached.
    package let server: EndpointAddress?
    /// Seconds for which "there is none" may be believed (RFC 2308, 5): the smaller of the SOA record's TTL and its
    /// minimum. Nil for other failures and for answers without SOA.
    package let negativeTTL: UInt32?

    package init(_ kind: Kind, name: String, server: EndpointAddress? = nil, negativeTTL: UInt32? = nil) {
        self.negativeTTL = negativeTTL
        self.kind = kind
        self.name = name
        self.server = server
    }

    package enum Kind: Error, Hashable, Sendable {
        /// No answer in time.
        case timeout
        /// NXDOMAIN: the name does not exist.
        case nameError
        /// NODATA: the name exists without a record of the asked type.
        case noData
        case serverFailure
        case refused
        /// Any other response code but NOERROR.
        case responseCode(DNSResponseCode)
        /// The answer could not be read or does not belong to the question.
        case malformed(String)
        /// The answer has addresses, but none that a task can have.
        case noUsableAddress
        /// Nobody listens at the server's address.
        case unreachable
        /// The text is not a host name.
        case invalidName
        /// This side failed: memory, descriptors.
        case system(String)
        /// This side gave up the query: shutdown, or nobody waits for it any more.
        case cancelled
    }

    /// Whether the server has spoken for the zone, so that asking another one would change nothing.
    package var isFinal: Bool {
        switch kind {
        case .nameError, .noData, .invalidName, .cancelled: true
        case .timeout, .serverFailure, .refused, .responseCode, .malformed, .noUsableAddress, .unreachable, .system:
            false
        }
    }
}

extension DNSFailure.Kind {
    /// `NXDOMAIN`, `no answer in time`; for tables, where name and server stand beside it.
    package var shortText: String {
        switch self {
        case .timeout: "no answer in time"
        case .nameError: "NXDOMAIN"
        case .noData: "NODATA"
        case .serverFailure: "SERVFAIL"
        case .refused: "REFUSED"
        case .responseCode(let code): "\(code)"
        case .malformed(let reason): "malformed: \(reason)"
        case .noUsableAddress: "no usable address"
        case .unreachable: "refuses connections"
        case .invalidName: "not a host name"
        case .system(let reason): reason
        case .cancelled: "given up"
        }
    }
}

extension DNSFailure: CustomStringConvertible {
    /// `NXDOMAIN for game-server.local from 127.0.0.1:5353`.
    package var description: String {
        let source = server.map { " from \($0)" } ?? ""
        return switch kind {
        case .timeout: "no DNS answer in time for \(name)\(source)"
        case .nameError: "NXDOMAIN for \(name)\(source)"
        case .noData: "NODATA for \(name)\(source)"
        case .serverFailure: "SERVFAIL for \(name)\(source)"
        case .refused: "REFUSED for \(name)\(source)"
        case .responseCode(let code): "\(code) for \(name)\(source)"
        case .malformed(let reason): "malformed DNS answer (\(reason)) for \(name)\(source)"
        case .noUsableAddress: "no usable address in the DNS answer for \(name)\(source)"
        case .unreachable: "DNS server \(server.map { "\($0) " } ?? "")refuses connections, asked for \(name)"
        case .invalidName: "'\(name)' is not a host name"
        case .system(let reason): "DNS query for \(name) could not be sent: \(reason)"
        case .cancelled: "DNS query for \(name) was given up"
        }
    }
}
