extension SplitMix64 {
    /// True with this probability (0...1): never for zero, always for one.
    mutating func chance(_ probability: Double) -> Bool {
        Double(next() >> 11) * 0x1p-53 < probability
    }
}
