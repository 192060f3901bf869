extension Duration {
    /// As people write it in the configuration, in the largest units that fit: `1m30s`. Below a microsecond is cut off.
    package var configurationText: String {
        let (seconds, attoseconds) = components
        var rest = seconds * 1_000_000 + attoseconds / 1_000_000_000_000
        if rest == 0 { return "0s" }
        var text = ""
        for unit in DurationUnit.all where rest >= unit.microseconds {
            text += "\(rest / unit.microseconds)\(unit.name)"
            rest %= unit.microseconds
        }
        return text
    }
}

/// A unit of durations in the configuration.
package struct DurationUnit {
    package let name: String
    package let microseconds: Int64

    /// From the largest, which is the order in which they may follow each other.
    package static let all = [
        DurationUnit(name: "h", microseconds: 3_600_000_000),
        DurationUnit(name: "m", microseconds: 60_000_000),
        DurationUnit(name: "s", microseconds: 1_000_000),
        DurationUnit(name: "ms", microseconds: 1_000),
        DurationUnit(name: "us", microseconds: 1),
    ]
}
