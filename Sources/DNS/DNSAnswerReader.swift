package import Policy

extension DNSAnswer {
    /// CNAMEs followed in one answer; real chains have one or two.
    package static let maximumChainLength = 16
    /// Records taken from one answer, the first ones; more would be an attack or a mistake.
    package static let maximumRecords = 1_024

    /// Reads the answer to the question `name` `type` out of a server's message.
    ///
    /// Believed are only records of class IN that belong to the question: those of its name, of the names that its
    /// CNAMEs lead to, and the SOA record of a zone around them. What the additional section offers is not looked at.
    package static func read(
        _ bytes: [UInt8], name: DNSName, type: DNSRecordType, server: EndpointAddress
    ) -> Result<DNSAnswer, DNSFailure> {
        do throws(Refusal) {
            let message = try response(in: bytes, to: name, type)
            switch message.extendedResponseCode {
            case .noError, .nameError: break
            case .serverFailure: throw Refusal(.serverFailure)
            case .refused: throw Refusal(.refused)
            case let code: throw Refusal(.responseCode(code))
            }
            let end = try ChainEnd(of: message.answers, from: name, type: type)
            // The code speaks of the chain's end (RFC 6604, 3).
            if message.responseCode == .nameError {
                throw end.refusal(.nameError, authorities: message.authorities)
            }
            // The transport asks again over TCP, where everything fits; part of an answer is none.
            if message.isTruncated { throw Refusal(.malformed("it is cut")) }
            if end.records.isEmpty { throw end.refusal(.noData, authorities: message.authorities) }
            // The root as target says that there is no such service (RFC 2782).
            let records = end.records.filter { !$0.isServiceDenial }
            let ttl = end.records.reduce(end.chainTTL) { min($0, $1.ttl) }
            if records.isEmpty { throw Refusal(.noData, negativeTTL: ttl) }
            return .success(DNSAnswer(records: Array(records.prefix(maximumRecords)), ttl: ttl, server: server))
        } catch {
            let failure = DNSFailure(
                error.kind, name: name.description, server: server, negativeTTL: error.negativeTTL)
            return .failure(failure)
        }
    }

    /// The message, if it is a response to this question.
    private static func response(
        in bytes: [UInt8], to name: DNSName, _ type: DNSRecordType
    ) throws(Refusal) -> DNSMessage {
        let message: DNSMessage
        do {
            message = try DNSMessage(parsing: bytes)
        } catch {
            throw Refusal(.malformed(error.description))
        }
        guard message.isResponse else { throw Refusal(.malformed("a query came back")) }
        guard message.opcode == 0, message.questions == [DNSQuestion(name: name, type: type)] else {
            throw Refusal(.malformed("it answers another question"))
        }
        guard message.additionals.count(where: { $0.type == .opt }) <= 1 else {
            throw Refusal(.malformed("it has more than one OPT record"))
        }
        return message
    }
}

/// Why a message gives no answer.
private struct Refusal: Error {
    let kind: DNSFailure.Kind
    let negativeTTL: UInt32?

    init(_ kind: DNSFailure.Kind, negativeTTL: UInt32? = nil) {
        self.kind = kind
        self.negativeTTL = negativeTTL
    }
}

/// Where the CNAMEs of an answer lead.
private struct ChainEnd {
    /// The last name of the chain; the asked one when there are no CNAMEs.
    private(set) var owner: DNSName
    /// The smallest TTL of the CNAMEs, in seconds.
    private(set) var chainTTL = UInt32.max
    /// The owner's records of the asked type; empty when there are none.
    private(set) var records: [DNSRecord] = []

    init(of answers: [DNSRecord], from name: DNSName, type: DNSRecordType) throws(Refusal) {
        owner = name
        for _ in 0...DNSAnswer.maximumChainLength {
            let own = answers.filter { $0.recordClass == DNSRecord.internetClass && $0.name == owner }
            records = own.filter { $0.type == type }
            if !records.isEmpty { return }
            let step = own.lazy.compactMap { record in
                if case .cname(let target) = record.data { (target: target, ttl: record.ttl) } else { nil }
            }.first
            guard let step else { return }
            chainTTL = min(chainTTL, step.ttl)
            owner = step.target
        }
        throw Refusal(.malformed("CNAME loop"))
    }

    /// "There is none", and for how long: the smallest of the SOA's TTL, its minimum (RFC 2308, 5) and the TTLs of the
    /// CNAMEs on the way. Without the SOA of a zone around ``owner`` nothing is said about the time.
    func refusal(_ kind: DNSFailure.Kind, authorities: [DNSRecord]) -> Refusal {
        for record in authorities where record.recordClass == DNSRecord.internetClass && owner.isWithin(record.name) {
            guard case .soa(let authority) = record.data else { continue }
            return Refusal(kind, negativeTTL: min(record.ttl, authority.minimum, chainTTL))
        }
        return Refusal(kind)
    }
}

extension DNSRecord {
    /// An SRV record that says that the service is decidedly not available (RFC 2782).
    fileprivate var isServiceDenial: Bool {
        if case .service(let service) = data { service.target == .root } else { false }
    }
}
