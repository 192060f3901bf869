/// A DNS message (RFC 1035, 4), as much of it as discovery needs: values only, no sockets.
package struct DNSMessage: Hashable, Sendable {
    package var id: UInt16
    package var isResponse = false
    package var opcode: UInt8 = 0
    package var isAuthoritative = false
    /// TC: the answer did not fit; ask again over TCP.
    package var isTruncated = false
    package var recursionDesired = true
    package var recursionAvailable = false
    /// The header's four bits of it; ``extendedResponseCode`` is the whole.
    package var responseCode = DNSResponseCode.noError
    package var questions: [DNSQuestion] = []
    package var answers: [DNSRecord] = []
    package var authorities: [DNSRecord] = []
    package var additionals: [DNSRecord] = []

    package init(id: UInt16) {
        self.id = id
    }

    /// A response to `query` that repeats its id and its questions.
    package init(answering query: DNSMessage, responseCode: DNSResponseCode = .noError, answers: [DNSRecord] = []) {
        self.id = query.id
        self.isResponse = true
        self.opcode = query.opcode
        self.isAuthoritative = true
        self.recursionDesired = query.recursionDesired
        self.responseCode = responseCode
        self.questions = query.questions
        self.answers = answers
    }

    /// The header's code with the eight upper bits that an OPT record adds (RFC 6891, 6.1.3).
    package var extendedResponseCode: DNSResponseCode {
        guard let option = additionals.first(where: { $0.type == .opt }) else { return responseCode }
        return DNSResponseCode(rawValue: UInt16(option.ttl >> 24) << 4 | responseCode.rawValue)
    }
}

/// What is asked: a name, a type and a class.
package struct DNSQuestion: Hashable, Sendable {
    package var name: DNSName
    package var type: DNSRecordType
    package var recordClass = DNSRecord.internetClass

    package init(name: DNSName, type: DNSRecordType) {
        self.name = name
        self.type = type
    }
}

/// One record of any section.
package struct DNSRecord: Hashable, Sendable {
    package var name: DNSName
    package var type: DNSRecordType
    package var recordClass = DNSRecord.internetClass
    /// Seconds. A value with the top bit set has been read as zero (RFC 2181, 8). Of an OPT record it is what that has
    /// in the TTL's place (RFC 6891, 6.1.3), untouched.
    package var ttl: UInt32
    package var data: Data

    package static let internetClass: UInt16 = 1

    package init(name: DNSName, type: DNSRecordType, ttl: UInt32, data: Data) {
        self.name = name
        self.type = type
        self.ttl = ttl
        self.data = data
    }

    package enum Data: Hashable, Sendable {
        /// A and AAAA.
        case address(IPAddress)
        case cname(DNSName)
        case soa(StartOfAuthority)
        case service(Service)
        /// Every other type, and every class but IN.
        case raw([UInt8])
    }

    /// The data of an SRV record (RFC 2782): where a service listens.
    package struct Service: Hashable, Sendable {
        /// Lower is tried first.
        package var priority: UInt16
        /// Share among the records of one priority.
        package var weight: UInt16
        package var port: UInt16
        /// The root says that the service is decidedly not available.
        package var target: DNSName

        package init(priority: UInt16, weight: UInt16, port: UInt16, target: DNSName) {
            self.priority = priority
            self.weight = weight
            self.port = port
            self.target = target
        }
    }

    /// Of the SOA record only what negative caching reads (RFC 2308), and the rest so that it can be written again.
    package struct StartOfAuthority: Hashable, Sendable {
        package var primary: DNSName
        package var mailbox: DNSName
        package var serial: UInt32
        package var refresh: UInt32
        package var retry: UInt32
        package var expire: UInt32
        /// Seconds for which "no such name" may be believed.
        package var minimum: UInt32

        package init(
            primary: DNSName, mailbox: DNSName, serial: UInt32, refresh: UInt32, retry: UInt32, expire: UInt32,
            minimum: UInt32
        ) {
            self.primary = primary
            self.mailbox = mailbox
            self.serial = serial
            self.refresh = refresh
            self.retry = retry
            self.expire = expire
            self.minimum = minimum
        }
    }
}

extension DNSRecord.Data: CustomStringConvertible {
    /// As a zone file writes it: `10.0.0.3`, `1 1 50051 task.users.local`.
    package var description: String {
        switch self {
        case .address(let address): "\(address)"
        case .cname(let name): "\(name)"
        case .soa(let soa): "\(soa.primary) \(soa.mailbox) \(soa.serial)"
        case .service(let service):
            "\(service.priority) \(service.weight) \(service.port) \(service.target)"
        case .raw(let bytes): "\(bytes.count) bytes"
        }
    }
}

/// TYPE and QTYPE values (RFC 1035, 3.2.2; RFC 3596; RFC 2782; RFC 6891).
package struct DNSRecordType: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package var rawValue: UInt16

    package init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    package static let a = DNSRecordType(rawValue: 1)
    package static let cname = DNSRecordType(rawValue: 5)
    package static let soa = DNSRecordType(rawValue: 6)
    package static let aaaa = DNSRecordType(rawValue: 28)
    package static let srv = DNSRecordType(rawValue: 33)
    package static let opt = DNSRecordType(rawValue: 41)

    /// `AAAA`; `TYPE65` for a type without a name here (RFC 3597, 5).
    package var description: String {
        switch self {
        case .a: "A"
        case .cname: "CNAME"
        case .soa: "SOA"
        case .aaaa: "AAAA"
        case .srv: "SRV"
        case .opt: "OPT"
        default: "TYPE\(rawValue)"
        }
    }
}

/// RCODE values: four bits in the header (RFC 1035, 4.1.1), eight more in an OPT record (RFC 6891, 6.1.3).
package struct DNSResponseCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package var rawValue: UInt16

    package init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    package static let noError = DNSResponseCode(rawValue: 0)
    package static let formatError = DNSResponseCode(rawValue: 1)
    package static let serverFailure = DNSResponseCode(rawValue: 2)
    package static let nameError = DNSResponseCode(rawValue: 3)
    package static let notImplemented = DNSResponseCode(rawValue: 4)
    package static let refused = DNSResponseCode(rawValue: 5)
    package static let badVersion = DNSResponseCode(rawValue: 16)

    /// The name that `dig` prints; `RCODE9` for one without.
    package var description: String {
        switch self {
        case .noError: "NOERROR"
        case .formatError: "FORMERR"
        case .serverFailure: "SERVFAIL"
        case .nameError: "NXDOMAIN"
        case .notImplemented: "NOTIMP"
        case .refused: "REFUSED"
        case .badVersion: "BADVERS"
        default: "RCODE\(rawValue)"
        }
    }
}
