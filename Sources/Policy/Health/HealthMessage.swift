/// `ServingStatus` of health.proto; numbers of later versions are kept.
package struct ServingStatus: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: UInt64

    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    package static let unknown = ServingStatus(rawValue: 0)
    package static let serving = ServingStatus(rawValue: 1)
    package static let notServing = ServingStatus(rawValue: 2)
    package static let serviceUnknown = ServingStatus(rawValue: 3)

    /// As health.proto writes it: `NOT_SERVING`.
    package var description: String {
        switch self {
        case .unknown: "UNKNOWN"
        case .serving: "SERVING"
        case .notServing: "NOT_SERVING"
        case .serviceUnknown: "SERVICE_UNKNOWN"
        default: "serving status \(rawValue)"
        }
    }
}

/// The two messages of `grpc.health.v1.Health` (github.com/grpc/grpc/blob/master/doc/health-checking.md), with gRPC's
/// prefix of five bytes. They are small enough to be written and read by hand.
package enum HealthMessage {
    /// An answer has some ten bytes with its prefix; whoever sends more speaks of something else.
    package static let answerMax = 1_024
    private static let prefixBytes = 5

    /// `HealthCheckRequest { service = 1 }`.
    package static func request(service: String) -> [UInt8] {
        let name = Array(service.utf8)
        let content = name.isEmpty ? [] : [0x0A] + varint(name.count) + name
        return [0] + (0..<4).map { UInt8(truncatingIfNeeded: content.count >> (24 - 8 * $0)) } + content
    }

    private static func varint(_ value: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        var left = value
        while left >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: left) | 0x80)
            left >>= 7
        }
        return bytes + [UInt8(left)]
    }

    /// How many bytes the first message of a stream has, its prefix included; nil while the prefix is not complete.
    package static func messageBytes(_ stream: some Collection<UInt8>) -> Int? {
        let prefix = Array(stream.prefix(prefixBytes))
        guard prefix.count == prefixBytes else { return nil }
        return prefixBytes + prefix[1...].reduce(0) { $0 << 8 | Int($1) }
    }

    /// What a `HealthCheckResponse { status = 1 }` says; nil when the bytes are not one such message.
    package static func status(in message: some Collection<UInt8>) -> ServingStatus? {
        guard message.count <= answerMax, message.first == 0, messageBytes(message) == message.count else { return nil }
        var reader = FieldReader(rest: Array(message.dropFirst(prefixBytes))[...])
        var status = ServingStatus.unknown
        while !reader.rest.isEmpty {
            guard let field = reader.next() else { return nil }
            if field.number == 1, let value = field.varint { status = ServingStatus(rawValue: value) }
        }
        return status
    }

    /// Reads a protobuf message field by field, and knows the values of none but varints.
    private struct FieldReader {
        var rest: ArraySlice<UInt8>

        /// The next field; nil when the bytes are none.
        mutating func next() -> (number: UInt64, varint: UInt64?)? {
            guard let key = varint() else { return nil }
            switch key & 7 {
            case 0:
                guard let value = varint() else { return nil }
                return (key >> 3, value)
            case 1: return skip(8) ? (key >> 3, nil) : nil
            case 2:
                guard let length = varint(), length <= UInt64(rest.count), skip(Int(length)) else { return nil }
                return (key >> 3, nil)
            case 5: return skip(4) ? (key >> 3, nil) : nil
            default: return nil
            }
        }

        private mutating func skip(_ count: Int) -> Bool {
            guard count <= rest.count else { return false }
            rest = rest.dropFirst(count)
            return true
        }

        private mutating func varint() -> UInt64? {
            var value: UInt64 = 0
            for shift in stride(from: UInt64(0), to: 70, by: 7) {
                guard let byte = rest.popFirst() else { return nil }
                value |= UInt64(byte & 0x7F) << shift
                if byte < 0x80 { return value }
            }
            return nil
        }
    }
}
