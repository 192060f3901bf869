#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// An IPv4 or IPv6 address as a number. IPv4 sorts before IPv6, both in numerical order.
package enum IPAddress: Hashable, Comparable, Sendable {
    /// In host byte order: `127.0.0.1` is `0x7F00_0001`.
    case v4(UInt32)
    /// The upper and the lower half in host byte order.
    case v6(high: UInt64, low: UInt64)

    /// - Parameter bytes: 4 or 16 bytes in network byte order; nil for any other number of them.
    package init?(bytes: some Collection<UInt8>) {
        switch bytes.count {
        case 4:
            self = .v4(bytes.reduce(0) { $0 << 8 | UInt32($1) })
        case 16:
            self = .v6(
                high: bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) },
                low: bytes.suffix(8).reduce(0) { $0 << 8 | UInt64($1) })
        default:
            return nil
        }
    }

    /// - Parameter text: an IPv4 literal in four decimal parts or an IPv6 literal without brackets and scope.
    package init?(text: String) {
        let isV6 = text.utf8.contains(UInt8(ascii: ":"))
        var bytes = [UInt8](repeating: 0, count: isV6 ? 16 : 4)
        guard inet_pton(isV6 ? AF_INET6 : AF_INET, text, &bytes) == 1 else { return nil }
        self.init(bytes: bytes)
    }

    /// 4 or 16 bytes in network byte order.
    package var bytes: [UInt8] {
        switch self {
        case .v4(let value):
            return (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
        case .v6(let high, let low):
            return [high, low].flatMap { half in
                (0..<8).map { UInt8(truncatingIfNeeded: half >> (56 - 8 * $0)) }
            }
        }
    }

    /// The IPv4 address inside an IPv4-mapped one (`::ffff:10.0.0.1`, RFC 4291, 2.5.5.2), so that one task is not
    /// counted twice; any other address as it is.
    package var unmapped: IPAddress {
        guard case .v6(high: 0, let low) = self, low >> 32 == 0xFFFF else { return self }
        return .v4(UInt32(truncatingIfNeeded: low))
    }

    /// Whether a task can be reached under this address: not "this network" (0.0.0.0/8), multicast, reserved,
    /// broadcast, unspecified, and not IPv6 link-local, which means nothing without the scope that DNS cannot carry.
    package var isUsable: Bool {
        switch self {
        case .v4(let value):
            let firstByte = value >> 24
            return firstByte != 0 && firstByte < 224
        case .v6(let high, let low):
            let isUnspecified = high == 0 && low == 0
            let isMulticast = high >> 56 == 0xFF
            let isLinkLocal = high >> 54 == 0xFE80 >> 6
            return !isUnspecified && !isMulticast && !isLinkLocal
        }
    }
}

extension IPAddress: CustomStringConvertible {
    /// The canonical text form: `10.0.0.3`, `fd00::3` (RFC 5952).
    package var description: String {
        switch self {
        case .v4:
            return bytes.map(String.init).joined(separator: ".")
        case .v6(let high, let low):
            let groups = [high, low].flatMap { half in
                (0..<4).map { UInt16(truncatingIfNeeded: half >> (48 - 16 * $0)) }
            }
            return Self.text(of: groups)
        }
    }

    /// Eight groups with the longest run of two or more zero groups (the first of equals) written as `::`.
    private static func text(of groups: [UInt16]) -> String {
        var longest = 0..<0
        var start = 0
        while start < groups.count {
            let end = groups[start...].firstIndex { $0 != 0 } ?? groups.count
            if end - start > max(longest.count, 1) { longest = start..<end }
            start = max(end, start + 1)
        }
        func hex(_ slice: ArraySlice<UInt16>) -> String {
            slice.map { String($0, radix: 16) }.joined(separator: ":")
        }
        if longest.isEmpty { return hex(groups[...]) }
        return hex(groups[..<longest.lowerBound]) + "::" + hex(groups[longest.upperBound...])
    }
}
