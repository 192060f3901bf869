/// Why bytes are not a DNS message.
package struct DNSFormatError: Error, Hashable, CustomStringConvertible {
    package let reason: String
    /// Offset into the message.
    package let offset: Int

    package var description: String { "\(reason) at byte \(offset)" }
}

extension DNSMessage {
    /// Reads a whole message. Never traps, whatever the bytes; bytes behind the last record are ignored.
    package init(parsing bytes: [UInt8]) throws(DNSFormatError) {
        var reader = DNSMessageReader(bytes)
        self.init(id: try reader.uint16())
        let flags = try reader.uint16()
        isResponse = flags & 0x8000 != 0
        opcode = UInt8(truncatingIfNeeded: flags >> 11) & 0x0F
        isAuthoritative = flags & 0x0400 != 0
        isTruncated = flags & 0x0200 != 0
        recursionDesired = flags & 0x0100 != 0
        recursionAvailable = flags & 0x0080 != 0
        responseCode = DNSResponseCode(rawValue: flags & 0x000F)
        let questionCount = try reader.uint16()
        let answerCount = try reader.uint16()
        let authorityCount = try reader.uint16()
        let additionalCount = try reader.uint16()
        // The counts are claims of the peer: nothing is reserved for them, and the bytes run out before they can hurt.
        for _ in 0..<questionCount { questions.append(try reader.question()) }
        for _ in 0..<answerCount { answers.append(try reader.record()) }
        for _ in 0..<authorityCount { authorities.append(try reader.record()) }
        for _ in 0..<additionalCount { additionals.append(try reader.record()) }
    }
}

/// A cursor over the bytes of a message; every step checks its bounds.
struct DNSMessageReader {
    private let bytes: [UInt8]
    private var offset = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    mutating func uint16() throws(DNSFormatError) -> UInt16 {
        let octets = try take(2)
        return octets.reduce(0) { $0 << 8 | UInt16($1) }
    }

    mutating func uint32() throws(DNSFormatError) -> UInt32 {
        let octets = try take(4)
        return octets.reduce(0) { $0 << 8 | UInt32($1) }
    }

    mutating func question() throws(DNSFormatError) -> DNSQuestion {
        var question = DNSQuestion(name: try name(), type: DNSRecordType(rawValue: try uint16()))
        question.recordClass = try uint16()
        return question
    }

    mutating func record() throws(DNSFormatError) -> DNSRecord {
        let name = try name()
        let type = DNSRecordType(rawValue: try uint16())
        let recordClass = try uint16()
        let ttl = try uint32()
        let length = Int(try uint16())
        let start = offset
        guard length <= bytes.count - start else { throw truncated(at: bytes.count) }
        var data = DNSRecord.Data.raw([])
        if recordClass == DNSRecord.internetClass {
            data = try recordData(type: type, length: length)
        } else {
            data = .raw(Array(try take(length)))
        }
        guard offset == start + length else {
            throw DNSFormatError(reason: "\(type) data of \(length) bytes does not end where it should", offset: start)
        }
        let isNegative = type != .opt && ttl > UInt32(Int32.max)
        var record = DNSRecord(name: name, type: type, ttl: isNegative ? 0 : ttl, data: data)
        record.recordClass = recordClass
        return record
    }

    private mutating func recordData(type: DNSRecordType, length: Int) throws(DNSFormatError) -> DNSRecord.Data {
        switch type {
        case .a, .aaaa:
            let start = offset
            guard length == (type == .a ? 4 : 16), let address = IPAddress(bytes: try take(length)) else {
                throw DNSFormatError(reason: "\(type) record with \(length) bytes", offset: start)
            }
            return .address(address)
        case .cname:
            return .cname(try name())
        case .srv:
            return .service(
                DNSRecord.Service(
                    priority: try uint16(), weight: try uint16(), port: try uint16(), target: try name()))
        case .soa:
            return .soa(
                DNSRecord.StartOfAuthority(
                    primary: try name(), mailbox: try name(), serial: try uint32(), refresh: try uint32(),
                    retry: try uint32(), expire: try uint32(), minimum: try uint32()))
        default:
            return .raw(Array(try take(length)))
        }
    }

    /// A name, its compression pointers followed (RFC 1035, 4.1.4).
    ///
    /// Each pointer must point before the stretch of labels it was found behind. "A prior occurrence" asks no less,
    /// and it makes loops impossible: the offsets only fall. Their number is bounded too, since a message could spend
    /// its first half on a staircase of pointers that each name of its second half walks down.
    mutating func name() throws(DNSFormatError) -> DNSName {
        var wire: [UInt8] = []
        var position = offset
        var stretchStart = offset
        var resumeAt: Int?
        var pointers = 0
        while true {
            guard position < bytes.count else { throw truncated(at: position) }
            let length = Int(bytes[position])
            switch length & 0xC0 {
            case 0x00:
                let end = position + 1 + length
                guard end <= bytes.count else { throw truncated(at: bytes.count) }
                wire.append(UInt8(length))
                wire.append(contentsOf: bytes[(position + 1)..<end].lazy.map(DNSName.lowercased))
                // A label other than the root leaves room for the root.
                guard wire.count + (length == 0 ? 0 : 1) <= DNSName.maximumWireLength else {
                    throw DNSFormatError(reason: "name longer than \(DNSName.maximumWireLength) bytes", offset: offset)
                }
                position = end
                if length == 0 {
                    offset = resumeAt ?? end
                    return DNSName(validatedWire: wire)
                }
            case 0xC0:
                guard position + 1 < bytes.count else { throw truncated(at: bytes.count) }
                let target = (length & 0x3F) << 8 | Int(bytes[position + 1])
                guard target < stretchStart else {
                    throw DNSFormatError(reason: "name pointer that does not point back", offset: position)
                }
                pointers += 1
                guard pointers <= DNSName.maximumLabels else {
                    throw DNSFormatError(reason: "name of more pointers than it can have labels", offset: offset)
                }
                resumeAt = resumeAt ?? position + 2
                stretchStart = target
                position = target
            default:
                throw DNSFormatError(reason: "unknown label type", offset: position)
            }
        }
    }

    private mutating func take(_ count: Int) throws(DNSFormatError) -> ArraySlice<UInt8> {
        guard count <= bytes.count - offset else { throw truncated(at: bytes.count) }
        defer { offset += count }
        return bytes[offset..<(offset + count)]
    }

    private func truncated(at offset: Int) -> DNSFormatError {
        DNSFormatError(reason: "message ends too early", offset: offset)
    }
}
