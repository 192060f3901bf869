import FoundationEssentials
import HTTP2

/// Metadata between header fields and messages. Keys that end in `-bin` travel as base64, with or without padding.
enum EchoMetadata {
    static func read(_ headers: HeaderBlock) -> [Ekiden_Echo_V1_Metadata] {
        headers.textFields.compactMap { field in
            if field.name.hasPrefix(":") { return nil }
            var entry = Ekiden_Echo_V1_Metadata()
            entry.key = field.name
            entry.value = field.name.hasSuffix("-bin") ? decode(field.value) : Data(field.value.utf8)
            return entry
        }
    }

    /// Fields whose key is no header name, or whose value no header can carry, are left out.
    static func write(_ metadata: [Ekiden_Echo_V1_Metadata], to headers: HeaderBlock) {
        for entry in metadata where isName(entry.key) {
            if entry.key.hasSuffix("-bin") {
                let text = entry.value.base64EncodedString()
                headers.append(name: Array(entry.key.utf8), value: Array(text.utf8.prefix { $0 != UInt8(ascii: "=") }))
            } else if entry.value.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) {
                headers.append(name: Array(entry.key.utf8), value: Array(entry.value))
            }
        }
    }

    private static func isName(_ key: String) -> Bool {
        !key.isEmpty
            && key.utf8.allSatisfy {
                $0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "z") || $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9")
                    || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".")
            }
    }

    /// What is no base64 is kept as it came.
    private static func decode(_ text: String) -> Data {
        let padding = String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
        return Data(base64Encoded: text + padding) ?? Data(text.utf8)
    }
}
