/// The encoding of `grpc-message` (gRPC over HTTP/2, Responses): printable ASCII but `%` stays, other bytes are `%XX`.
package enum PercentEncoding {
    /// - Parameter limit: bytes of the result; what does not fit is cut between characters of the encoding.
    package static func encode(_ text: String, limit: Int) -> [UInt8] {
        var encoded: [UInt8] = []
        for byte in text.utf8 {
            if byte >= 0x20, byte < 0x7f, byte != UInt8(ascii: "%") {
                if encoded.count + 1 > limit { break }
                encoded.append(byte)
            } else {
                if encoded.count + 3 > limit { break }
                encoded.append(UInt8(ascii: "%"))
                encoded.append(digit(byte >> 4))
                encoded.append(digit(byte & 0xf))
            }
        }
        return encoded
    }

    private static func digit(_ nibble: UInt8) -> UInt8 {
        nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "A") + nibble - 10
    }
}

/// Text as a JSON string (RFC 8259, 7).
package enum JSONText {
    package static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default:
                if scalar.value < 0x20 {
                    let hex = String(scalar.value, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }
}
