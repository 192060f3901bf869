/// Which share of a worker's new requests is refused. A limit that is reached refuses all of them. Lag does not say how
/// much is too much: the share grows while the loop is late and shrinks by and by when it is not, so that a worker
/// does not refuse everything in one second and take everything in the next.
package struct LoadShedding: Sendable, Equatable {
    /// Why; nil when nothing is refused.
    package private(set) var reason: OverloadReason?
    /// 0...1.
    package private(set) var share = 0.0

    private static let growth = 0.2
    private static let decay = 0.05

    package init() {}

    /// - Parameter judgement: of this tenth of a second.
    package mutating func update(_ judgement: OverloadReason?) {
        switch judgement {
        case .loopLag:
            reason = judgement
            share = min(share + Self.growth, 1)
        case .streams, .buffers, .descriptors:
            reason = judgement
            share = 1
        case nil:
            guard case .loopLag = reason, share > Self.decay else {
                reason = nil
                share = 0
                return
            }
            share -= Self.decay
        }
    }

    /// Whether to refuse this request.
    /// - Parameter random: the worker's generator.
    package func refuses(_ random: inout SplitMix64) -> Bool {
        share >= 1 || random.chance(share)
    }
}
