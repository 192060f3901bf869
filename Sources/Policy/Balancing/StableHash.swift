/// A 64-bit hash that is the same in every process and for all time (FNV-1a with the finalizer of MurmurHash3): proxies
/// side by side must send a key to the same endpoint. Quick for the short texts that keys are; not for secrets.
enum StableHash {
    static func hash(_ bytes: some Sequence<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return mix(hash)
    }

    /// Spreads what distinguishes two numbers over all bits. One to one.
    static func mix(_ number: UInt64) -> UInt64 {
        var mixed = number
        mixed = (mixed ^ (mixed >> 33)) &* 0xFF51_AFD7_ED55_8CCD
        mixed = (mixed ^ (mixed >> 33)) &* 0xC4CE_B9FE_1A85_EC53
        return mixed ^ (mixed >> 33)
    }

    /// The n-th of a row of numbers that look independent.
    static func mix(_ number: UInt64, _ n: Int) -> UInt64 {
        mix(number &+ UInt64(truncatingIfNeeded: n) &* 0x9E37_79B9_7F4A_7C15)
    }
}
