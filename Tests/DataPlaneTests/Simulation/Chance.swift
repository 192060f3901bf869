import TestSupport

/// Draws from one seed. Parts of a run have one each, so that a change in one part leaves the others' draws alone.
final class Chance {
    private var generator: SeededGenerator

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
    }

    /// A generator of its own for another part.
    func fork() -> Chance {
        Chance(seed: generator.next())
    }

    func number() -> UInt64 {
        generator.next()
    }

    /// 0..<bound.
    func below(_ bound: Int) -> Int {
        Int(generator.next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    func range(_ low: Int, _ high: Int) -> Int {
        low + below(high - low + 1)
    }

    /// True that many times out of a hundred.
    func hits(_ percent: Int) -> Bool {
        below(100) < percent
    }

    func pick<Element>(_ elements: [Element]) -> Element {
        elements[below(elements.count)]
    }

    /// Nanoseconds, from and to milliseconds.
    func time(_ low: Int, _ high: Int) -> Int64 {
        Int64(range(low * 10, high * 10)) * 100_000
    }

    /// A number of bytes: mostly few, seldom many.
    func size() -> Int {
        switch below(100) {
        case ..<15: 0
        case ..<60: below(200)
        case ..<85: below(4_096)
        case ..<97: below(30_000)
        default: below(200 * 1_024)
        }
    }
}
