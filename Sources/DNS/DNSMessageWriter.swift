extension DNSMessage {
    /// The wire form, names compressed; nil when it would not fit into 65,535 bytes or a section has more records than
    /// its count can say.
    package func encoded() -> [UInt8]? {
        var writer = DNSMessageWriter()
        writer.append(id)
        var flags = UInt16(opcode & 0x0F) << 11 | responseCode.rawValue & 0x000F
        if isResponse { flags |= 0x8000 }
        if isAuthoritative { flags |= 0x0400 }
        if isTruncated { flags |= 0x0200 }
        if recursionDesired { flags |= 0x0100 }
        if recursionAvailable { flags |= 0x0080 }
        writer.append(flags)
        for count in [questions.count, answers.count, authorities.count, additionals.count] {
            guard let count = UInt16(exactly: count) else { return nil }
            writer.append(count)
        }
        for question in questions {
            writer.append(question.name)
            writer.append(question.type.rawValue)
            writer.append(question.recordClass)
        }
        for section in [answers, authorities, additionals] {
            for record in section {
                guard writer.append(record) else { return nil }
            }
        }
        return writer.bytes.count <= Int(UInt16.max) ? writer.bytes : nil
    }
}

/// Appends to a message and remembers where names are, so that a later one can point to an earlier one.
struct DNSMessageWriter {
    private(set) var bytes: [UInt8] = []
    /// Offsets by the wire form of each name's tails.
    private var offsets: [ArraySlice<UInt8>: Int] = [:]

    mutating func append(_ value: UInt16) {
        bytes.append(UInt8(truncatingIfNeeded: value >> 8))
        bytes.append(UInt8(truncatingIfNeeded: value))
    }

    mutating func append(_ value: UInt32) {
        append(UInt16(truncatingIfNeeded: value >> 16))
        append(UInt16(truncatingIfNeeded: value))
    }

    mutating func append(_ name: DNSName) {
        var tail = name.wire[...]
        while let length = tail.first, length != 0 {
            if let offset = offsets[tail] {
                append(0xC000 | UInt16(offset))
                return
            }
            // A pointer has 14 bits.
            if bytes.count < 0x4000 { offsets[tail] = bytes.count }
            bytes.append(contentsOf: tail.prefix(1 + Int(length)))
            tail = tail.dropFirst(1 + Int(length))
        }
        bytes.append(0)
    }

    /// - Returns: false when the record's data is longer than its length can say.
    mutating func append(_ record: DNSRecord) -> Bool {
        append(record.name)
        append(record.type.rawValue)
        append(record.recordClass)
        append(record.ttl)
        let lengthOffset = bytes.count
        append(UInt16(0))
        switch record.data {
        case .address(let address):
            bytes.append(contentsOf: address.bytes)
        case .cname(let name):
            append(name)
        case .soa(let soa):
            append(soa.primary)
            append(soa.mailbox)
            for value in [soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum] { append(value) }
        case .service(let service):
            for value in [service.priority, service.weight, service.port] { append(value) }
            // A target is not compressed (RFC 2782).
            bytes.append(contentsOf: service.target.wire)
        case .raw(let raw):
            bytes.append(contentsOf: raw)
        }
        guard let length = UInt16(exactly: bytes.count - lengthOffset - 2) else { return false }
        bytes[lengthOffset] = UInt8(truncatingIfNeeded: length >> 8)
        bytes[lengthOffset + 1] = UInt8(truncatingIfNeeded: length)
        return true
    }
}
