import Foundation
import Testing

extension EndToEnd {
    /// Tasks that misbehave in every way there is, against every policy: the table is `upstream_policies.json`.
    @Suite("Misbehaving upstreams")
    struct MisbehavingUpstreams {
        private static let policies = ((try? PolicyTable.read().policies.keys.sorted()) ?? [])

        @Test("The table has policies")
        func table() {
            #expect(Self.policies.count > 5)
        }

        @Test("Each case ends as the table says, after as many attempts, with as many counted", arguments: policies)
        func cases(_ policy: String) async throws {
            try await Processes.scope { processes in
                let upstream = try await ScriptedUpstream.start()
                processes.adopt(upstream.child)
                let ekiden = try await processes.ekiden(file: try PolicyTable.read().configuration(upstream))
                let check = try ChildProcess(
                    "upstream_policies.py", try Programs.python(),
                    [
                        "-u", ScriptedUpstream.script("upstream_policies.py"), "--proxy", ekiden.target, "--admin",
                        ekiden.admin, "--policy", policy,
                    ])
                processes.adopt(check)
                let code = try await check.exitCode(within: .seconds(120))
                // The log closes when the other end of the pipe does: then all lines are here.
                _ = try? await check.output.first("the end") { (_: String) -> Bool? in nil }
                for line in check.output.all where line.hasPrefix("FAIL") { Issue.record("\(line)") }
                #expect(code == 0, "\(check.transcript)")
                try await ekiden.checkSettled()
            }
        }

        @Test("Nobody to connect to: a policy with connect failures gives up after its attempts")
        func nobody() async throws {
            try await Processes.scope { processes in
                let ports = try (0..<2).map { _ in try FreePort.next() }
                let list = ports.map { "127.0.0.1:\($0)" }.joined(separator: ",")
                let ekiden = try await processes.ekiden(
                    route: "retry: {on: [connect_failure], attempts: 3, backoff: 5ms, backoff_max: 10ms}",
                    cluster: "discover: \"static://\(list)\"")
                let answer = try #require(try await CallList.make(ekiden, 1, ["--timeout", "8"]).first)
                #expect(answer.status == "UNAVAILABLE", "\(answer)")
                #expect(answer.seconds < 4, "\(answer)")
                #expect(try await ekiden.metrics().sum("ekiden_retries_total") ?? 0 <= 2)
            }
        }
    }
}
