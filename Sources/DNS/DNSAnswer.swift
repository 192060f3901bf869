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

    /// CNAMEs followed in one answer; real chains have one or two.
    package static let maximumChainLength = 16

    /// Reads the answer to the question `name` `type` out of a server's message.
    package static func read(
        _ bytes: [UInt8], name: DNSName, type: DNSRecordType, server: EndpointAddress
    ) -> Result<DNSAnswer, DNSFailure> {
        func failure(_ kind: DNSFailure.Kind) -> Result<DNSAnswer, DNSFailure> {
            .failure(DNSFailure(kind, name: name.description, server: server))
        }
        let message: DNSMessage
        do {
            message = try DNSMessage(parsing: bytes)
        } catch {
            return failure(.malformed(error.description))
        }
        guard message.isResponse else { return failure(.malformed("a query came back")) }
        guard let question = message.questions.first, message.questions.count == 1, question.name == name,
            question.type == type
        else { return failure(.malformed("it answers another question")) }

        switch message.responseCode {
        case .noError: break
        case .nameError: return failure(.nameError)
        case .serverFailure: return failure(.serverFailure)
        case .refused: return failure(.refused)
        case let code: return failure(.responseCode(code))
        }
        return chainEnd(of: message.answers, name: name, type: type)
            .map { DNSAnswer(records: $0.records, ttl: $0.ttl, server: server) }
            .mapError { DNSFailure($0.kind, name: name.description, server: server) }
    }

    private struct ChainFailure: Error {
        let kind: DNSFailure.Kind
    }

    /// Follows the CNAMEs from `name` and collects what is at their end. Records of other names are not believed.
    private static func chainEnd(
        of answers: [DNSRecord], name: DNSName, type: DNSRecordType
    ) -> Result<(records: [DNSRecord], ttl: UInt32), ChainFailure> {
        var owner = name
        var chainTTL = UInt32.max
        for _ in 0...maximumChainLength {
            let records = answers.filter { $0.recordClass == DNSRecord.internetClass && $0.name == owner }
            let wanted = records.filter { $0.type == type }
            if !wanted.isEmpty {
                return .success((wanted, wanted.reduce(chainTTL) { min($0, $1.ttl) }))
            }
            var next: DNSName?
            for record in records {
                guard case .cname(let target) = record.data else { continue }
                chainTTL = min(chainTTL, record.ttl)
                next = target
                break
            }
            guard let next else { return .failure(ChainFailure(kind: .noData)) }
            owner = next
        }
        return .failure(ChainFailure(kind: .malformed("CNAME loop")))
    }
}
