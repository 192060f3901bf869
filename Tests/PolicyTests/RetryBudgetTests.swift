import Policy
import Testing

@Suite("Retry budget")
struct RetryBudgetTests {
    private let second: Int64 = 1_000_000_000

    private func budget(_ ratio: Double, _ perSecond: Int, workers: Int = 1) -> RetryBudget {
        var settings = RetryBudgetSettings()
        settings.ratio = ratio
        settings.minimumPerSecond = perSecond
        return RetryBudget(settings, workers: workers)
    }

    private func taken(_ budget: inout RetryBudget, _ tries: Int, now: Int64) -> Int {
        var taken = 0
        for _ in 0..<tries where budget.take(now: now) { taken += 1 }
        return taken
    }

    @Test("a share of the requests of the last ten seconds")
    func share() {
        var budget = budget(0.2, 0)
        #expect(taken(&budget, 5, now: second) == 0)
        for _ in 0..<1_000 { budget.noteRequest(now: second) }
        #expect(taken(&budget, 1_000, now: second) == 200)
        #expect(taken(&budget, 10, now: 9 * second) == 0)
        // Both are forgotten together.
        #expect(taken(&budget, 10, now: 12 * second) == 0)
        for _ in 0..<10 { budget.noteRequest(now: 12 * second) }
        #expect(taken(&budget, 10, now: 12 * second) == 2)
    }

    @Test("a few per second whatever the traffic, and no more after a long rest", arguments: [1, 2, 4])
    func minimum(workers: Int) {
        var budget = budget(0, 8, workers: workers)
        let share = 8 / workers
        #expect(taken(&budget, 100, now: second) == share)
        #expect(taken(&budget, 100, now: second + second / 2) == share / 2)
        #expect(taken(&budget, 100, now: 100 * second) == share)
    }

    @Test("load that all fails stays within share and minimum, second by second")
    func storm() {
        var budget = budget(0.2, 10)
        var retries = 0
        for step in 0..<20_000 {
            let now = second + Int64(step) * 1_000_000
            budget.noteRequest(now: now)
            for _ in 0..<4 where budget.take(now: now) { retries += 1 }
        }
        #expect(retries >= 4_000 && retries <= 4_000 + 10 * 21)
    }

    @Test("a budget of nothing gives nothing")
    func nothing() {
        var budget = budget(0, 0)
        for _ in 0..<100 { budget.noteRequest(now: second) }
        #expect(taken(&budget, 100, now: second) == 0)
    }
}

@Suite("Retry decisions")
struct RetryDecisionTests {
    private func decide(
        _ result: AttemptResult, _ policy: RetryPolicy, isIdempotent: Bool = false, attempts: Int = 1,
        pushback: RetryPushback? = nil, timeLeft: Int64? = nil
    ) -> RetryDecision {
        var random = SplitMix64(seed: 1)
        return policy.decide(
            after: result, isIdempotent: isIdempotent, attempts: attempts, pushback: pushback, timeLeft: timeLeft,
            random: &random)
    }

    @Test(
        "the default policy repeats nothing",
        arguments: [
            AttemptResult.grpc(14), .grpc(0), .http(503), .reset, .lost, .connectFailure, .timedOut, .refused,
            .abandoned,
        ])
    func defaults(result: AttemptResult) {
        #expect(decide(result, RetryPolicy()) == .final)
    }

    @Test("an idempotent call is repeated when its fate is unknown, and not for a status that nobody listed")
    func idempotent() {
        for result in [AttemptResult.lost, .reset, .timedOut, .connectFailure, .refused] {
            guard case .retry = decide(result, RetryPolicy(), isIdempotent: true) else {
                Issue.record("\(result) is not repeated")
                continue
            }
        }
        #expect(decide(.grpc(14), RetryPolicy(), isIdempotent: true) == .final)
        #expect(decide(.abandoned, RetryPolicy(), isIdempotent: true) == .final)
    }

    @Test("attempts, the deadline and the task's word end it")
    func ends() {
        var policy = RetryPolicy()
        policy.grpcStatuses = [.unavailable]
        #expect(decide(.grpc(14), policy, attempts: 3) == .exhausted)
        #expect(decide(.grpc(14), policy, pushback: .never) == .stopped)
        #expect(decide(.grpc(14), policy, pushback: .after(7)) == .retry(after: 7))
        #expect(decide(.grpc(14), policy, pushback: .after(7), timeLeft: 7) == .stopped)
        #expect(decide(.grpc(14), policy, pushback: .after(RetryPushback.longest + 1)) == .stopped)
        #expect(decide(.grpc(99), policy) == .final)
    }

    @Test("only statuses that may come in trailers keep a response's head waiting")
    func awaitsTrailers() {
        var route = RouteSettings()
        #expect(!RoutePlan(route).readsStatuses)
        route.retry.httpStatuses = [503]
        #expect(RoutePlan(route).readsStatuses && !RoutePlan(route).awaitsTrailers(isHedged: false))
        route.retry.grpcStatuses = [.unavailable]
        #expect(RoutePlan(route).awaitsTrailers(isHedged: false))
        route = RouteSettings()
        route.hedging = HedgingPolicy()
        #expect(RoutePlan(route).awaitsTrailers(isHedged: true) && !RoutePlan(route).awaitsTrailers(isHedged: false))
        route.hedging?.nonFatalStatuses = []
        #expect(RoutePlan(route).readsStatuses && !RoutePlan(route).awaitsTrailers(isHedged: true))
    }

    @Test("a route that names the calls which may run twice hedges no others")
    func hedges() {
        var route = RouteSettings()
        #expect(!RoutePlan(route).hedges(isIdempotent: true))
        route.hedging = HedgingPolicy()
        #expect(RoutePlan(route).hedges(isIdempotent: false))
        route.idempotent = .methods(["Get"])
        #expect(RoutePlan(route).hedges(isIdempotent: true) && !RoutePlan(route).hedges(isIdempotent: false))
    }

    @Test("the pause is anything up to its ceiling, which doubles up to a limit")
    func jitter() {
        var policy = RetryPolicy()
        policy.backoffBase = .milliseconds(10)
        policy.backoffMax = .milliseconds(35)
        var random = SplitMix64(seed: 7)
        for (retry, ceiling) in [(1, 10), (2, 20), (3, 35), (60, 35)] {
            let pauses = (0..<2_000).map { _ in policy.backoff(retry: retry, random: &random) }
            let most = Int64(ceiling) * 1_000_000
            #expect(pauses.allSatisfy { $0 >= 0 && $0 < most })
            #expect(pauses.contains { $0 < most / 10 } && pauses.contains { $0 > most * 9 / 10 })
        }
    }

    @Test(
        "what a task asks for",
        arguments: [
            ("0", RetryPushback.after(0)), ("250", .after(250_000_000)), ("-1", .never), ("", .never), ("1s", .never),
        ]
    )
    func pushback(text: String, expected: RetryPushback) {
        let parsed = RetryPushback(text.utf8)
        #expect(parsed == expected)
    }
}
