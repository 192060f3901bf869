import Testing

extension EndToEnd {
    /// What the proxy refuses by itself, and what it spoils on purpose.
    @Suite("Limits and faults")
    struct LimitsAndFaults {
        @Test("Over its rate a route answers RESOURCE_EXHAUSTED and says when to come back")
        func rateLimit() async throws {
            try await withTask(route: "rate_limit: {requests_per_second: 0.5, burst: 5}") { fleet, ekiden in
                let answers = try await CallList.make(ekiden, 12)
                #expect(answers.prefix(5).allSatisfy { $0.status == "OK" }, "\(answers)")
                let refused = answers.filter { $0.status != "OK" }
                // One place comes back in two seconds.
                #expect((6...7).contains(refused.count), "\(answers.statuses)")
                for answer in refused {
                    #expect(answer.status == "RESOURCE_EXHAUSTED")
                    let pause = try #require(answer.trailers["grpc-retry-pushback-ms"].flatMap { Int($0) })
                    // Until there is a place, and up to as much again: not all should come back at once.
                    #expect((1...4_000).contains(pause))
                }
                #expect(try await fleet.calls().values.reduce(0, +) == 12 - refused.count)
                #expect(
                    try await ekiden.metrics().sum("ekiden_rate_limited_total", #"scope="route""#)
                        == Double(refused.count))

                let page = try await Curl.get(
                    "http://\(ekiden.target)/", ["--http2-prior-knowledge", "--dump-header", "-"])
                #expect(page.status == 429, "\(page.body)")
                let pause = page.body.firstMatch(of: /retry-after: (\d+)/).flatMap { Int($0.1) }
                #expect((1...4).contains(try #require(pause, "\(page.body)")))
            }
        }

        @Test("Callers have rates of their own, told apart by a header")
        func rateLimitPerCaller() async throws {
            let limit = "per_caller: {requests_per_second: 0.1, burst: 3, header: x-tenant}"
            try await withTask(route: "rate_limit: {\(limit)}") { _, ekiden in
                let first = try await CallList.make(ekiden, 5, ["--metadata", "x-tenant: one"])
                #expect(first.statuses == ["OK": 3, "RESOURCE_EXHAUSTED": 2])
                let second = try await CallList.make(ekiden, 3, ["--metadata", "x-tenant: two"])
                #expect(second.statuses == ["OK": 3])
                #expect(try await ekiden.metrics().sum("ekiden_rate_limited_total", #"scope="caller""#) == 2)
            }
        }

        @Test("A cluster with as many calls in flight as it may have refuses the next, and only then")
        func circuit() async throws {
            try await withTask(cluster: "circuit_breakers: {max_requests: 10}") { fleet, ekiden in
                let answers = try await CallList.make(ekiden, 15, ["--together", "--delay-ms", "1000"])
                #expect(answers.statuses["OK"] == 10, "\(answers.statuses)")
                #expect(answers.filter { $0.status != "OK" }.allSatisfy { $0.seconds < 0.9 }, "\(answers)")
                #expect(try await fleet.calls().values.reduce(0, +) == 10)
                #expect(try await ekiden.metrics().sum("ekiden_circuit_open_total", #"limit="requests""#) == 5)
                #expect(try await CallList.make(ekiden, 10, ["--together"]).statuses == ["OK": 10])
            }
        }

        @Test("A cluster that would queue refuses calls at the limit that it has found, and shows it")
        func adaptive() async throws {
            try await withTask(cluster: "circuit_breakers: {adaptive: {minimum: 4, maximum: 8}}") { fleet, ekiden in
                let answers = try await CallList.make(ekiden, 30, ["--together", "--delay-ms", "1000"])
                let served = answers.statuses["OK"] ?? 0
                #expect((1...8).contains(served), "\(answers.statuses)")
                #expect(answers.statuses["UNAVAILABLE"] == 30 - served, "\(answers.statuses)")
                let metrics = try await ekiden.metrics()
                #expect(metrics.sum("ekiden_circuit_open_total", #"limit="adaptive""#) == Double(30 - served))
                #expect((4...8).contains(try #require(metrics.sum("ekiden_upstream_adaptive_limit"))))
                #expect(try await CallList.make(ekiden, 4).statuses == ["OK": 4])
            }
        }

        @Test("A request with the header of a fault is answered with it, without a task; others know nothing of it")
        func abort() async throws {
            try await withTask(route: "fault: {header: \"x-fault: on\", abort: unavailable}") { fleet, ekiden in
                let spoiled = try await CallList.make(ekiden, 3, ["--metadata", "x-fault: on"])
                #expect(spoiled.statuses == ["UNAVAILABLE": 3])
                #expect(try await fleet.calls().values.reduce(0, +) == 0)
                #expect(try await CallList.make(ekiden, 3, ["--metadata", "x-fault: off"]).statuses == ["OK": 3])
                #expect(try await CallList.make(ekiden, 3).statuses == ["OK": 3])
                #expect(try await ekiden.metrics().sum("ekiden_faults_injected_total", #"kind="abort""#) == 3)
            }
        }

        @Test("An HTTP request is answered with the fault's status")
        func abortHTTP() async throws {
            try await withTask(route: "fault: {header: \"x-fault: on\", abort: \"503\"}") { _, ekiden in
                let answer = try await Curl.get(
                    "http://\(ekiden.target)/", ["--http2-prior-knowledge", "--header", "x-fault: on"])
                #expect(answer.status == 503)
            }
        }

        @Test("A delayed request arrives later, and not when its deadline is earlier")
        func delay() async throws {
            try await withTask(route: "fault: {header: \"x-fault: on\", delay: 400ms}") { fleet, ekiden in
                let delayed = try await CallList.make(ekiden, 2, ["--metadata", "x-fault: on"])
                #expect(delayed.allSatisfy { $0.status == "OK" && $0.seconds >= 0.4 }, "\(delayed)")
                let late = try await CallList.make(ekiden, 1, ["--metadata", "x-fault: on", "--timeout", "0.2"])
                #expect(late.statuses == ["DEADLINE_EXCEEDED": 1])
                let plain = try await CallList.make(ekiden, 3)
                #expect(plain.allSatisfy { $0.status == "OK" && $0.seconds < 0.3 }, "\(plain)")
                #expect(try await fleet.calls().values.reduce(0, +) == 5)
                #expect(try await ekiden.metrics().sum("ekiden_faults_injected_total", #"kind="delay""#) == 3)
            }
        }

        private func withTask(
            route: String = "", cluster: String = "", _ body: (Fleet, EkidenProcess) async throws -> Void
        ) async throws {
            try await Processes.scope { processes in
                let addresses = Fleet.addresses(1...1)
                let fleet = try await processes.fleet(addresses)
                let more = cluster.isEmpty ? "" : ", \(cluster)"
                let ekiden = try await processes.ekiden(
                    route: route, cluster: "discover: \"\(fleet.discover(addresses))\"\(more)")
                try await body(fleet, ekiden)
                try await ekiden.checkSettled()
            }
        }
    }
}
