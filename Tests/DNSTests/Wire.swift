@testable import DNS

/// DNS messages put together byte by byte, so that the reader is not measured by our own writer.
enum Wire {
    /// Where the first question's name is.
    static let questionOffset: UInt8 = 12
    /// A pointer to ``questionOffset``.
    static let questionName: [UInt8] = [0xC0, questionOffset]

    static func uint16(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 0xFF), UInt8(value & 0xFF)] }

    static func uint32(_ value: UInt32) -> [UInt8] {
        uint16(Int(value >> 16)) + uint16(Int(value & 0xFFFF))
    }

    /// `users.local` as labels with their length in front, the root at the end; `.` is the root.
    static func name(_ text: String) -> [UInt8] {
        text.utf8.split(separator: UInt8(ascii: ".")).flatMap { [UInt8($0.count)] + $0 } + [0]
    }

    static func record(
        _ owner: [UInt8], type: Int, recordClass: Int = 1, ttl: UInt32 = 60, _ data: [UInt8]
    ) -> [UInt8] {
        owner + uint16(type) + uint16(recordClass) + uint32(ttl) + uint16(data.count) + data
    }

    static func a(_ owner: [UInt8], ttl: UInt32 = 60, recordClass: Int = 1, _ address: [UInt8]) -> [UInt8] {
        record(owner, type: 1, recordClass: recordClass, ttl: ttl, address)
    }

    static func cname(_ owner: [UInt8], ttl: UInt32 = 60, _ target: [UInt8]) -> [UInt8] {
        record(owner, type: 5, ttl: ttl, target)
    }

    static func srv(
        _ owner: [UInt8], ttl: UInt32 = 60, _ priority: Int, _ weight: Int, _ port: Int, _ target: [UInt8]
    ) -> [UInt8] {
        record(owner, type: 33, ttl: ttl, uint16(priority) + uint16(weight) + uint16(port) + target)
    }

    static func soa(_ owner: [UInt8], ttl: UInt32, minimum: UInt32, recordClass: Int = 1) -> [UInt8] {
        let times: [UInt32] = [2_026, 7_200, 900, 1_209_600, minimum]
        return record(
            owner, type: 6, recordClass: recordClass, ttl: ttl,
            name("ns.local") + name("host.local") + times.flatMap(uint32))
    }

    /// - Parameter upper: the eight upper bits of the response code.
    static func opt(upper: UInt8 = 0, version: UInt8 = 0, size: Int = 1_232, options: [UInt8] = []) -> [UInt8] {
        record([0], type: 41, recordClass: size, ttl: UInt32(upper) << 24 | UInt32(version) << 16, options)
    }

    /// A response to the question `name` `type`.
    /// - Parameter flags: QR, RD and RA unless said otherwise; the last four bits are the response code.
    static func response(
        to name: [UInt8] = Wire.name("users.local"), type: Int = 1, questionClass: Int = 1, flags: Int = 0x8180,
        answers: [[UInt8]] = [], authorities: [[UInt8]] = [], additionals: [[UInt8]] = []
    ) -> [UInt8] {
        let counts = [1, answers.count, authorities.count, additionals.count]
        let header = uint16(0x1234) + uint16(flags) + counts.flatMap(uint16)
        let question = name + uint16(type) + uint16(questionClass)
        return header + question + (answers + authorities + additionals).flatMap { $0 }
    }
}
