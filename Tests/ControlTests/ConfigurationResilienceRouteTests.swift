import Policy
import Testing

@testable import Control

/// A configuration that is right, with room for one more pair of its route; `users` may have a route of its own.
private func withRoute(_ pair: String) -> String {
    """
    listeners: [{listen: 127.0.0.1:1}]\nclusters: {users: {discover: dns://u:1}}\nroutes:\n  - cluster: users\n    \
    \(pair)\n
    """
}

@Suite("What a route does with its requests, in the configuration")
struct ConfigurationResilienceRouteTests {
    private func settings(_ pair: String) throws -> RouteSettings {
        let loaded = try configuration(withRoute(pair))
        let printed = try configuration(EffectiveConfiguration.render(loaded))
        #expect(printed == loaded)
        return try #require(loaded.routes.first).settings
    }

    @Test(
        "without the keys the defaults stand, and the words for nothing say the same",
        arguments: [
            "name: x", "timeout: cluster", "max_deadline: off", "per_try_timeout: off", "idle_timeout: off",
            "retry: {}",
            "retry: {on: [], attempts: 3, backoff: 25ms, backoff_max: 250ms}", "hedging: off", "idempotent: false",
            "rate_limit: off", "fault: off", "subset: {}",
        ])
    func defaults(pair: String) throws {
        #expect(try settings(pair) == RouteSettings())
    }

    @Test("the times of a route")
    func times() throws {
        var expected = RouteSettings()
        expected.timeout = .after(.seconds(5))
        expected.maxDeadline = .seconds(10)
        expected.perTryTimeout = .milliseconds(500)
        expected.idleTimeout = .seconds(60)
        let pairs = "timeout: 5s\n    max_deadline: 10s\n    per_try_timeout: 500ms\n    idle_timeout: 1m"
        #expect(try settings(pairs) == expected)
        #expect(try settings("timeout: off").timeout == .none)
    }

    @Test("what is retried, statuses in either case and all kinds in one list")
    func retry() throws {
        var expected = RouteSettings()
        expected.retry.conditions = [.connectFailure, .reset, .timeout]
        expected.retry.grpcStatuses = [.unavailable, .resourceExhausted, .deadlineExceeded]
        expected.retry.httpStatuses = [503, 429]
        expected.retry.maxAttempts = 4
        expected.retry.backoffBase = .milliseconds(5)
        expected.retry.backoffMax = .seconds(1)
        expected.idempotent = .all
        expected.perTryTimeout = .seconds(1)
        let words =
            "connect_failure, reset, timeout, unavailable, RESOURCE_EXHAUSTED, deadline_exceeded, 503, 429"
        let pairs = "retry: {on: [\(words)], attempts: 4, backoff: 5ms, backoff_max: 1s}"
        #expect(try settings("\(pairs)\n    idempotent: true\n    per_try_timeout: 1s") == expected)
        #expect(problems(withRoute("retry: {attempts: 5}\n    idempotent: true")).isEmpty)
        #expect(try settings("retry: {on: unavailable}").retry.grpcStatuses == [.unavailable])
    }

    @Test("every gRPC status but OK can be retried by its name")
    func statuses() throws {
        for status in GRPCStatus.allCases where status != .ok {
            #expect(try settings("retry: {on: [\(status.name.lowercased())]}").retry.grpcStatuses == [status])
        }
    }

    @Test("hedging, and which calls may run twice")
    func hedging() throws {
        var expected = RouteSettings()
        expected.hedging = HedgingPolicy()
        expected.idempotent = .all
        #expect(try settings("hedging: {}\n    idempotent: true") == expected)
        expected.hedging?.delay = .zero
        expected.hedging?.maxAttempts = 3
        expected.hedging?.nonFatalStatuses = [.unavailable, .aborted]
        expected.idempotent = .methods(["Get", "demo.Users/List"])
        let pairs = "hedging: {delay: 0s, attempts: 3, non_fatal: [unavailable, aborted]}"
        #expect(try settings("\(pairs)\n    idempotent: [Get, demo.Users/List]") == expected)
        #expect(try settings("idempotent: Get").idempotent == .methods(["Get"]))
        // As a method and not as a word for true.
        #expect(try settings("idempotent: [On]").idempotent == .methods(["On"]))
    }

    @Test("rate limits of the route and of each caller")
    func rateLimit() throws {
        var limit = RateLimitSettings()
        limit.requestsPerSecond = 0.5
        limit.burst = 7
        #expect(try settings("rate_limit: {requests_per_second: 0.5, burst: 7}").rateLimit == limit)
        limit = RateLimitSettings()
        limit.perCaller = CallerRateLimitSettings()
        #expect(try settings("rate_limit: {per_caller: {}}").rateLimit == limit)
        limit.perCaller?.requestsPerSecond = 12_345_678
        limit.perCaller?.burst = 1
        limit.perCaller?.header = "x-user"
        limit.perCaller?.maxCallers = 10
        let caller = "{requests_per_second: 12345678, burst: 1, header: x-user, max_callers: 10}"
        #expect(try settings("rate_limit: {requests_per_second: off, per_caller: \(caller)}").rateLimit == limit)
    }

    @Test("faults, for requests with a header or for all, with a status of either kind")
    func fault() throws {
        var fault = FaultPolicy()
        fault.header = (name: "x-fault", value: "on: 1")
        fault.delay = .milliseconds(100)
        fault.delayShare = 0.25
        fault.abort = .http(503)
        fault.abortShare = 0
        let all = #"{header: "x-fault: on: 1", delay: 100ms, delay_share: 0.25, abort: "503", abort_share: 0}"#
        #expect(try settings("fault: \(all)").fault == fault)
        fault = FaultPolicy()
        fault.header = (name: "x-fault", value: nil)
        fault.abort = .grpc(.unavailable)
        #expect(try settings("fault: {header: x-fault, abort: UNAVAILABLE}").fault == fault)
    }

    @Test("a subset is a mapping of attributes to texts, whatever they look like")
    func subset() throws {
        #expect(
            try settings(#"subset: {leader: "true", zone: eu-1a, version: 42, empty: ""}"#).subset
                == ["leader": "true", "zone": "eu-1a", "version": "42", "empty": ""])
    }

    @Test(
        "what is no value is refused at its place",
        arguments: [
            ("timeout: never", "5:14: routes[0].timeout: 'never' is not a duration (\(durations))"),
            ("timeout: 1ms", "5:14: routes[0].timeout: '1ms' is out of range (from 10ms to 168h, or off)"),
            ("max_deadline: 5", "5:19: routes[0].max_deadline: '5' has no unit (write 5s or 5ms)"),
            ("per_try_timeout: 0s", "5:22: routes[0].per_try_timeout: '0s' is out of range (from 1ms to 1h, or off)"),
            ("idle_timeout: 1x", "5:19: routes[0].idle_timeout: '1x' is not a duration (\(durations))"),
            (
                "retry: {on: [unavailble]}",
                "5:18: routes[0].retry.on[0]: 'unavailble' is nothing to retry (did you mean 'unavailable'?)"
            ),
            ("retry: {on: [14]}", "5:18: routes[0].retry.on[0]: '14' is nothing to retry (write unavailable)"),
            (
                "retry: {on: [200]}",
                "5:18: routes[0].retry.on[0]: '200' is not an HTTP status that fits here (from 400 to 599)"
            ),
            ("retry: {on: [ok]}", "5:18: routes[0].retry.on[0]: 'ok' is not a failure"),
            (
                "retry: {on: [5xx]}",
                "5:18: routes[0].retry.on[0]: '5xx' is nothing to retry (write a gRPC status like unavailable)"
            ),
            ("retry: {attempts: 0}", "5:23: routes[0].retry.attempts: '0' is out of range (from 1 to 10)"),
            (
                "retry: {back_off: 1s}",
                "5:13: unknown key 'back_off' in routes[0].retry (did you mean 'backoff'?)"
            ),
            ("retries: {on: reset}", "5:5: unknown key 'retries' in routes[0] (did you mean 'retry'?)"),
            ("hedge: {}", "5:5: unknown key 'hedge' in routes[0] (did you mean 'hedging'?)"),
            (
                "rate_limit: {per_caller: {max_callers: 1000001}}",
                """
                5:44: routes[0].rate_limit.per_caller.max_callers: '1000001' is out of range (from 1 to 1000000)
                """
            ),
            (
                "retry: {on: reset, backoff: 1s}",
                "5:33: routes[0].retry.backoff (1s) is more than routes[0].retry.backoff_max (250ms)"
            ),
            (
                "hedging: {attempts: 1}\n    idempotent: true",
                "5:25: routes[0].hedging.attempts: '1' is out of range (from 2 to 10)"
            ),
            (
                "hedging: {non_fatal: [503]}\n    idempotent: true",
                """
                5:27: routes[0].hedging.non_fatal[0]: '503' is not a gRPC status (write a gRPC status like unavailable)
                """
            ),
            (
                "idempotent: [demo.Users.Get]",
                """
                5:18: routes[0].idempotent[0]: 'demo.Users.Get' is not a gRPC method (write Get, or package.Service/Get)
                """
            ),
            (
                "idempotent: [/demo.Users/Get]",
                "5:18: routes[0].idempotent[0]: '/demo.Users/Get' begins with '/' (did you mean 'demo.Users/Get'?)"
            ),
            (
                "idempotent: {a: b}",
                "5:17: routes[0].idempotent: expected true, false or a list of methods, found a mapping"
            ),
            (
                "rate_limit: {requests_per_second: 0}",
                """
                5:39: routes[0].rate_limit.requests_per_second: '0' is out of range (from 0.001 to 1000000000, or \
                off)
                """
            ),
            (
                "rate_limit: {requests_per_second: 0x10}",
                "5:39: routes[0].rate_limit.requests_per_second: '0x10' is not a number"
            ),
            (
                "rate_limit: {per_caller: {header: X-User}}",
                """
                5:39: routes[0].rate_limit.per_caller.header: 'X-User' is not in lower case, as names are in HTTP/2 \
                (did you mean 'x-user'?)
                """
            ),
            (
                "rate_limit: 100",
                "5:17: routes[0].rate_limit: expected a mapping, found a single value (write 'key: value' pairs)"
            ),
            (
                "fault: {abort: 14}",
                "5:20: routes[0].fault.abort: '14' is not a status (write unavailable)"
            ),
            (
                #"fault: {header: "x-fault:", delay: 1s}"#,
                """
                5:21: routes[0].fault.header: 'x-fault:' has no value of a header behind the colon (write 'x-fault', \
                or 'x-fault: on')
                """
            ),
            (
                "fault: {delay: 1s, delay_share: 50}",
                "5:37: routes[0].fault.delay_share: '50' is not a number from 0 to 1"
            ),
            (
                "hedging: on",
                "5:14: routes[0].hedging: expected a mapping, found a single value (write {} for the defaults, or off)"
            ),
            (
                "fault: {delay: 1s, delay_share: 70%}",
                "5:37: routes[0].fault.delay_share: '70%' is not a number from 0 to 1 (write 0.7)"
            ),
            (
                "rate_limit: {requests_per_second: 70%}",
                "5:39: routes[0].rate_limit.requests_per_second: '70%' is not a number (write 0.7)"
            ),
            (
                "subset: leader",
                "5:13: routes[0].subset: expected a mapping, found a single value (write 'key: value' pairs)"
            ),
            ("subset: {leader: }", "5:22: routes[0].subset.leader: expected a text, found nothing"),
            (
                "subset: {a b: c}",
                "5:14: routes[0].subset.a b: 'a b' is not a name (names have no spaces and no quotes)"
            ),
        ])
    func badValues(pair: String, expected: String) {
        #expect(problems(withRoute(pair)) == [expected])
    }

    @Test(
        "what does not fit together is told at its place",
        arguments: [
            (
                "retry: {on: unavailable}\n    hedging: {}\n    idempotent: true",
                "6:14: routes[0] has both 'retry' and 'hedging' (keep one of them: gRFC A6 forbids both)"
            ),
            (
                "hedging: {}",
                """
                5:14: warning: routes[0].hedging runs calls more than once, and nothing says which may (add \
                'idempotent: true', or a list of methods)
                """
            ),
            (
                "hedging: {delay: 2s}\n    idempotent: true\n    timeout: 2s",
                """
                5:22: warning: routes[0].hedging.delay (2s) is not less than the route's timeout (2s) (no second \
                attempt is ever made)
                """
            ),
            (
                "retry: {attempts: 5}",
                "5:12: warning: routes[0].retry has no 'on', so nothing is retried (add 'on: [unavailable]')"
            ),
            (
                "retry: {on: reset, attempts: 1}",
                "5:34: warning: routes[0].retry.attempts: with 1 nothing is retried (the first attempt counts too)"
            ),
            (
                "retry: {on: timeout}",
                "5:17: warning: routes[0].retry.on has 'timeout', but attempts have none (add 'per_try_timeout: 1s')"
            ),
            (
                "per_try_timeout: 2s\n    timeout: 2s",
                """
                5:22: warning: routes[0].per_try_timeout (2s) is not less than the route's timeout (2s) (no time is \
                left for another attempt)
                """
            ),
            (
                "per_try_timeout: 2s\n    max_deadline: 1s",
                """
                5:22: warning: routes[0].per_try_timeout (2s) is not less than routes[0].max_deadline (1s) (no time \
                is left for another attempt)
                """
            ),
            (
                "timeout: 20s\n    max_deadline: 10s",
                "5:14: warning: routes[0].timeout (20s) is more than routes[0].max_deadline (10s)"
            ),
            (
                "match: {service: a.B, method: Get}\n    idempotent: [Get, a.B/Get, Set, c.D/Get]",
                """
                6:32: warning: routes[0].idempotent: 'Set' is no call of a.B/Get (the route sees no other calls)
                """
            ),
            (
                "rate_limit: {burst: 5}",
                """
                5:17: warning: routes[0].rate_limit limits nothing (add 'requests_per_second' or 'per_caller')
                """
            ),
            (
                "rate_limit: {requests_per_second: 50.5, per_caller: {requests_per_second: 60}}",
                """
                5:79: warning: routes[0].rate_limit.per_caller.requests_per_second (60) is more than \
                routes[0].rate_limit.requests_per_second (50.5) (one caller may take all that the route has)
                """
            ),
            (
                "rate_limit: {requests_per_second: 50, per_caller: {}}",
                """
                5:55: warning: routes[0].rate_limit.per_caller.requests_per_second (100) is more than \
                routes[0].rate_limit.requests_per_second (50) (one caller may take all that the route has)
                """
            ),
            ("fault: {delay_share: 0.5}", "5:12: warning: routes[0].fault does nothing (add 'delay' or 'abort')"),
            (
                "fault: {delay: 1s, abort_share: 0.5}",
                "5:37: warning: routes[0].fault.abort_share says nothing without 'abort'"
            ),
            (
                "fault: {abort: unavailable, delay_share: 0.5}",
                "5:46: warning: routes[0].fault.delay_share says nothing without 'delay'"
            ),
            (
                "retry: {on: [unavailable, not_found]}",
                """
                5:17: warning: routes[0].retry.on: not_found is the caller's fault (another attempt would get the \
                same answer)
                """
            ),
            (
                "hedging:",
                "5:13: warning: routes[0].hedging is empty, and so it is off (write {} for the defaults, or off)"
            ),
            (
                "subset: {role: leader}",
                """
                5:13: warning: routes[0].subset: no endpoint of the cluster 'users' has attributes (they come from \
                file:// sources only)
                """
            ),
        ])
    func crossChecks(pairs: String, expected: String) {
        let found = problems(withRoute(pairs))
        #expect(found.first == expected)
        #expect(found.count == (pairs.contains("c.D/Get") ? 2 : 1))
    }

    @Test("a subset is right where any source of the cluster is a file")
    func subsetOfFile() {
        let text = withRoute("subset: {role: leader}").replacing("dns://u:1", with: "[dns://u:1, file:///dev/null]")
        #expect(problems(text).isEmpty)
    }

    @Test("the cluster's timeout counts where the route has none of its own")
    func timeoutOfCluster() {
        let text = withRoute("per_try_timeout: 3s").replacing("dns://u:1}", with: "dns://u:1, timeout: 3s}")
        #expect(problems(text).count == 1)
        #expect(problems(text.replacing("per_try_timeout: 3s", with: "per_try_timeout: 2s")).isEmpty)
        #expect(problems(text.replacing("    per_try", with: "    timeout: off\n    per_try")).isEmpty)
    }

    fileprivate static let durations = "write a duration like 250ms, 5s, 1m30s or 1h"
}
