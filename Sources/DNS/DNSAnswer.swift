package import Policy

/// What a server said about a name: the records of the asked type at the end of the name's CNAME chain.
package struct DNSAnswer: Hashable, Sendable {
    package let records: [DNSRecord]
    /// Seconds: the smallest TTL of the records and of every CNAME on the way to them.
    package let ttl: UInt32
    package let server: EndpointAddress

    package init(records: [DNSRecord], ttl: UInt32, server: EndpointAddress) {
        self.records = records
        self.ttl = ttl
        self.server = server
    }

    /// The addresses of A and AAAA records in the order of the answer.
    package var addresses: [IPAddress] {
        records.compactMap { record in
            if case .address(let address) = record.data { address } else { nil }
        }
    }

    /// The services of SRV records in the order of the answer.
    package var services: [DNSRecord.Service] {
        records.compactMap { record in
            if case .service(let service) = record.data { service } else { nil }
        }
    }
}
