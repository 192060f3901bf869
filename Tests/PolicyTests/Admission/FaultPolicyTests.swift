import Testing

@testable import Policy

@Suite("Faults on purpose")
struct FaultPolicyTests {
    private func decisions(_ policy: FaultPolicy, isMatched: Bool = true) -> [FaultDecision] {
        var random = SplitMix64(seed: 1)
        return (0..<10_000).map { _ in policy.decide(isMatched: isMatched, random: &random) }
    }

    @Test("requests that are not meant get nothing, nor does anybody by an empty policy")
    func nothing() {
        var policy = FaultPolicy()
        #expect(decisions(policy).allSatisfy { $0 == FaultDecision() })
        policy.delay = .seconds(1)
        policy.abort = .grpc(.unavailable)
        #expect(decisions(policy, isMatched: false).allSatisfy { $0 == FaultDecision() })
    }

    @Test("delay and abort are drawn by their shares, each for itself")
    func shares() {
        var policy = FaultPolicy()
        policy.delay = .milliseconds(20)
        policy.delayShare = 0.3
        policy.abort = .http(503)
        policy.abortShare = 0.5
        let decisions = decisions(policy)
        #expect((2_800...3_200).contains(decisions.count { $0.delay == 20_000_000 }))
        #expect((4_800...5_200).contains(decisions.count { $0.abort == .http(503) }))
        #expect((1_350...1_650).contains(decisions.count { $0.delay != nil && $0.abort != nil }))
        #expect(decisions.allSatisfy { $0.delay == nil || $0.delay == 20_000_000 })
    }

    @Test("a share of one means all, a share of zero none", arguments: [0.0, 1.0])
    func extremes(share: Double) {
        var policy = FaultPolicy()
        policy.delay = .milliseconds(1)
        policy.delayShare = share
        policy.abort = .grpc(.internal)
        policy.abortShare = 1 - share
        let wanted =
            share == 1 ? FaultDecision(delay: 1_000_000) : FaultDecision(abort: .grpc(.internal))
        #expect(decisions(policy).allSatisfy { $0 == wanted })
    }
}
