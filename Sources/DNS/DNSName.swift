/// A domain name in its uncompressed wire form, lower-cased, so that equal names are equal bytes (RFC 4343).
package struct DNSName: Hashable, Sendable {
    /// Labels with their length in front, ended by the root's zero; 1...255 bytes.
    package let wire: [UInt8]

    /// The limits of RFC 1035, 2.3.4.
    package static let maximumLabelLength = 63
    package static let maximumWireLength = 255
    /// What fits into ``maximumWireLength`` without the root.
    package static let maximumLabels = 127

    /// The name of no labels.
    package static let root = DNSName(validatedWire: [0])

    /// For the reader, which has checked the form.
    init(validatedWire wire: [UInt8]) {
        self.wire = wire
    }

    /// A host name from configuration, with or without the final dot; always taken as fully qualified.
    ///
    /// Nil when it is not one: letters, digits, hyphens and underscores in labels of 1...63 bytes, 253 bytes in all.
    package init?(_ text: String) {
        var rest = text.utf8[...]
        if rest.last == UInt8(ascii: ".") { rest.removeLast() }
        guard !rest.isEmpty else { return nil }
        var wire: [UInt8] = []
        for label in rest.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
            guard (1...Self.maximumLabelLength).contains(label.count), label.allSatisfy(Self.isHostNameByte) else {
                return nil
            }
            wire.append(UInt8(label.count))
            wire.append(contentsOf: label.map(Self.lowercased))
        }
        wire.append(0)
        guard wire.count <= Self.maximumWireLength else { return nil }
        self.wire = wire
    }

    /// Number of labels without the root's: one more than a text form without the final dot has dots.
    package var labelCount: Int {
        var count = 0
        var position = 0
        while wire[position] != 0 {
            count += 1
            position += 1 + Int(wire[position])
        }
        return count
    }

    /// Whether all labels are made of letters, digits, hyphens and underscores, and there is one at least: what
    /// ``init(_:)`` takes. Names out of messages may hold any byte.
    package var isHostName: Bool {
        var position = 0
        while wire[position] != 0 {
            let end = position + 1 + Int(wire[position])
            guard wire[(position + 1)..<end].allSatisfy(Self.isHostNameByte) else { return false }
            position = end
        }
        return position > 0
    }

    /// Whether this name is `zone` itself or below it.
    package func isWithin(_ zone: DNSName) -> Bool {
        var tail = wire[...]
        while tail.count > zone.wire.count, let length = tail.first {
            tail = tail.dropFirst(1 + Int(length))
        }
        return tail.elementsEqual(zone.wire)
    }

    /// This name with the labels of `domain` behind it; nil when that is longer than a name may be.
    package func appending(_ domain: DNSName) -> DNSName? {
        let joined = wire.dropLast() + domain.wire
        return joined.count <= Self.maximumWireLength ? DNSName(validatedWire: Array(joined)) : nil
    }

    static func lowercased(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }

    private static func isHostNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default:
            false
        }
    }
}

extension DNSName: CustomStringConvertible {
    /// The presentation form without the final dot; bytes that would mislead a reader are escaped as `\.` and `\DDD`
    /// (RFC 1035, 5.1). The root is `.`.
    package var description: String {
        if wire.count <= 1 { return "." }
        var text = ""
        var position = 0
        while position < wire.count, wire[position] != 0 {
            if position > 0 { text.append(".") }
            let end = position + 1 + Int(wire[position])
            for byte in wire[(position + 1)..<end] {
                switch byte {
                case UInt8(ascii: "."), UInt8(ascii: "\\"):
                    text.append("\\")
                    text.unicodeScalars.append(Unicode.Scalar(byte))
                case 0x21...0x7E:
                    text.unicodeScalars.append(Unicode.Scalar(byte))
                default:
                    let digits = String(byte)
                    text.append("\\" + String(repeating: "0", count: 3 - digits.count) + digits)
                }
            }
            position = end
        }
        return text
    }
}
