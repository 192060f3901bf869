/// The `grpc-timeout` header (gRPC over HTTP/2, Requests): at most eight digits and a unit.
package enum GRPCTimeout {
    /// - Returns: nanoseconds, or nil for anything that is not a timeout: such a value is passed on unchanged and arms
    ///   nothing, since it is the server's to complain about.
    package static func nanoseconds(_ text: Span<UInt8>) -> Int64? {
        guard text.count >= 2, text.count <= 9 else { return nil }
        var amount: Int64 = 0
        for index in 0..<text.count - 1 {
            let byte = text[index]
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            amount = amount * 10 + Int64(byte - UInt8(ascii: "0"))
        }
        let unit: Int64
        switch text[text.count - 1] {
        case UInt8(ascii: "H"): unit = 3_600_000_000_000
        case UInt8(ascii: "M"): unit = 60_000_000_000
        case UInt8(ascii: "S"): unit = 1_000_000_000
        case UInt8(ascii: "m"): unit = 1_000_000
        case UInt8(ascii: "u"): unit = 1_000
        case UInt8(ascii: "n"): unit = 1
        default: return nil
        }
        let (product, overflow) = amount.multipliedReportingOverflow(by: unit)
        return overflow ? longest : min(product, longest)
    }

    /// What a deadline that is this far away is on the wire: at most seven digits, and never more than is left.
    /// - Parameter nanoseconds: more than zero.
    package static func text(_ nanoseconds: Int64) -> Text {
        var amount = max(nanoseconds, 1)
        let ladder = ladder
        for step in ladder.indices {
            if amount < 10_000_000 { return Text(amount, unit: ladder[step].unit) }
            amount /= ladder[step].next
        }
        return Text(min(amount, 9_999_999), unit: UInt8(ascii: "H"))
    }

    /// Units, and how many of each make the next.
    private static var ladder: [5 of (unit: UInt8, next: Int64)] {
        [
            (UInt8(ascii: "n"), 1_000), (UInt8(ascii: "u"), 1_000), (UInt8(ascii: "m"), 1_000),
            (UInt8(ascii: "S"), 60), (UInt8(ascii: "M"), 60),
        ]
    }

    /// Nine years: `99999999H` is a legal way to say "no deadline", and sums with a clock reading must not overflow.
    package static let longest: Int64 = 1 << 58
}

extension GRPCTimeout {
    /// At most eight bytes, in a register.
    package struct Text: RandomAccessCollection, Sendable {
        private var bytes: UInt64
        package let count: Int

        /// - Parameter amount: below ten million.
        fileprivate init(_ amount: Int64, unit: UInt8) {
            var bytes = UInt64(unit)
            var count = 1
            var rest = UInt64(amount)
            repeat {
                bytes = bytes << 8 | (UInt64(UInt8(ascii: "0")) + rest % 10)
                rest /= 10
                count += 1
            } while rest > 0
            self.bytes = bytes
            self.count = count
        }

        package var startIndex: Int { 0 }
        package var endIndex: Int { count }

        package subscript(index: Int) -> UInt8 { UInt8(truncatingIfNeeded: bytes >> UInt64(index * 8)) }
    }
}

extension Duration {
    /// Whole nanoseconds; what does not fit is cut to about 292 years.
    package var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        let (sum, sumOverflow) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return sumOverflow ? (seconds < 0 ? .min : .max) : sum
    }
}
