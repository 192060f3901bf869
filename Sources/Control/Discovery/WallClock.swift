#if canImport(FoundationEssentials)
package import FoundationEssentials
#else
package import Foundation
#endif

/// The time of day, for people who read when something was. Nothing is measured or decided with it: it jumps.
package enum WallClock {
    package static var now: Date { Date() }
}
