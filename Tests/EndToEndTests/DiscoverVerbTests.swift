import Foundation
import Testing

extension EndToEnd {
    @Suite("ekiden discover")
    struct DiscoverVerb {
        private static let name = "tasks.local"

        @Test("It lists what was found, and how: exit code 0")
        func found() async throws {
            try await Processes.scope { processes in
                let dns = try await processes.dns()
                try await dns.answer(Self.name, .init(addresses: ["10.0.0.1", "10.0.0.2", "fd00::3"]))
                let outcome = try await discover("dns://\(Self.name):50051", dns)
                #expect(outcome.exitCode == 0)
                #expect(outcome.errors == "")
                for text in ["10.0.0.1:50051", "10.0.0.2:50051", "[fd00::3]:50051", "3 endpoints"] {
                    #expect(outcome.hasLine { $0 == text }, "\(text) in:\n\(outcome.output)")
                }
                for text in ["127.0.0.1:\(dns.port)  A ", "127.0.0.1:\(dns.port)  AAAA "] {
                    #expect(outcome.hasLine { $0.hasPrefix(text) }, "\(text) in:\n\(outcome.output)")
                }
            }
        }

        @Test(
            "Without an endpoint it says why: exit code 1",
            arguments: [("nxdomain", "NXDOMAIN"), ("servfail", "SERVFAIL"), ("refused", "REFUSED")])
        func notFound(_ mode: String, _ reason: String) async throws {
            try await Processes.scope { processes in
                let dns = try await processes.dns()
                try await dns.mode(mode)
                let outcome = try await discover("dns://\(Self.name):50051", dns)
                #expect(outcome.exitCode == 1)
                let line = "0 endpoints: \(reason) for \(Self.name) from 127.0.0.1:\(dns.port)"
                #expect(outcome.hasLine { $0 == line }, "\(outcome.output)")
            }
        }

        @Test(
            "Arguments that are wrong end it before it asks: exit code 64",
            arguments: [
                (["dns://:x"], "'x' is not a port"),
                (["dns://tasks.local:1", "--timeout", "5ms"], "--timeout goes from 10ms to 60s"),
                (["dns://tasks.local:1", "--truncated-at", "1"], "--truncated-at goes from 2 to 1000"),
                (["dns://tasks.local:1", "--wait", "5"], "'5' has no unit"),
            ])
        func wrong(_ arguments: [String], _ complaint: String) async throws {
            let outcome = try await Self.run(arguments + ["--server", "127.0.0.1:1"])
            #expect(outcome.exitCode == 64)
            #expect(outcome.errors.contains(complaint), "\(outcome.errors)")
            #expect(outcome.output == "")
        }

        @Test("As JSON it is one object", arguments: [true, false])
        func json(_ isStatic: Bool) async throws {
            try await Processes.scope { processes in
                let dns = try await processes.dns()
                try await dns.answer(Self.name, .init(addresses: ["10.0.0.1"]))
                let url = isStatic ? "static://10.0.0.1:50051" : "dns://\(Self.name):50051"
                let outcome = try await discover(url, dns, ["--json"])
                #expect(outcome.exitCode == 0)
                let sight = try JSONDecoder().decode(Sight.self, from: Data(outcome.output.utf8))
                #expect(sight.source == url)
                #expect(sight.endpoints.map(\.address) == ["10.0.0.1:50051"])
                #expect(!sight.truncated)
                #expect(sight.known == 1)
                #expect(sight.estimated == 1)
                #expect(sight.coverage == 1)
                #expect(sight.queries.map(\.type) == (isStatic ? [] : ["A", "AAAA"]))
            }
        }

        @Test("When the answer was cut it says so and asks on")
        func cut() async throws {
            try await Processes.scope { processes in
                let dns = try await processes.dns()
                try await dns.answer(Self.name, .init(addresses: Fleet.addresses(1...20), limit: 8))
                let outcome = try await discover("dns://\(Self.name):50051", dns, ["--json", "--wait", "2500ms"])
                #expect(
                    outcome.errors
                        == "the answer was cut at 8 records; asking on for 2.5 s (--wait 0s stops at once)")
                let sight = try JSONDecoder().decode(Sight.self, from: Data(outcome.output.utf8))
                #expect(sight.truncated)
                #expect((9...20).contains(sight.known))
                #expect(sight.endpoints.count == sight.known)
            }
        }

        @Test("It asks once when told not to wait, and says when the wait was too short for another answer")
        func shortWait() async throws {
            try await Processes.scope { processes in
                let dns = try await processes.dns()
                try await dns.answer(Self.name, .init(addresses: Fleet.addresses(1...20), limit: 8))
                let hasty = try await discover("dns://\(Self.name):50051", dns, ["--wait", "0s"])
                #expect(hasty.errors == "")
                #expect(hasty.hasLine { $0.hasPrefix("8 endpoints known, nobody can tell yet") }, "\(hasty.output)")
                #expect(try await dns.queries(Self.name, "A") == 1)

                let short = try await discover("dns://\(Self.name):50051", dns, ["--wait", "300ms"])
                #expect(
                    short.errors.contains("the TTL of 1 s is not shorter than the wait of 0.3 s"), "\(short.errors)")
                #expect(try await dns.queries(Self.name, "A") == 2)
            }
        }

        @Test("Watching prints a line per look until a signal ends it")
        func watch() async throws {
            try await Processes.scope { processes in
                let dns = try await processes.dns()
                try await dns.answer(Self.name, .init(addresses: ["10.0.0.1"]))
                let child = try Self.start(
                    ["dns://\(Self.name):50051", "--watch", "--server", "127.0.0.1:\(dns.port)"])
                do {
                    _ = try await child.output.first("the first look") { line in
                        line.hasSuffix("  1 endpoint  +10.0.0.1:50051") ? true : nil
                    }
                    try await dns.answer(Self.name, .init(addresses: ["10.0.0.2"]))
                    _ = try await child.output.first("a look after it") {
                        $0.hasSuffix("  1 endpoint  +10.0.0.2:50051 -10.0.0.1:50051") ? true : nil
                    }
                    child.deliver(SIGINT)
                    #expect(try await child.exitCode(within: .seconds(5)) == -SIGINT)
                } catch {
                    await child.end()
                    throw HarnessError("\(error)\n\(child.transcript)")
                }
            }
        }

        // MARK: Runs

        private struct Sight: Decodable {
            struct Endpoint: Decodable { var address: String }
            struct Query: Decodable { var type: String }
            var source: String
            var endpoints: [Endpoint]
            var truncated: Bool
            var known: Int
            var estimated: Double?
            var coverage: Double?
            var queries: [Query]
        }

        private struct Outcome {
            var exitCode: Int32
            var output: String
            var errors: String

            /// Whether there is a line for which this holds, without its indentation.
            func hasLine(_ isIt: (String) -> Bool) -> Bool {
                output.split(separator: "\n").contains { isIt($0.trimmingCharacters(in: .whitespaces)) }
            }
        }

        private func discover(_ url: String, _ dns: DNSServer, _ options: [String] = []) async throws -> Outcome {
            try await Self.run([url, "--server", "127.0.0.1:\(dns.port)"] + options)
        }

        private static func run(_ arguments: [String]) async throws -> Outcome {
            let child = try start(arguments)
            let exitCode: Int32
            do {
                exitCode = try await child.exitCode(within: .seconds(20))
            } catch {
                await child.end()
                throw HarnessError("\(error)\n\(child.transcript)")
            }
            // The logs close when the pipes do: then all is there.
            _ = try? await child.output.first("the end") { (_: String) -> Bool? in nil }
            _ = try? await child.errors.first("the end") { (_: String) -> Bool? in nil }
            return Outcome(
                exitCode: exitCode, output: child.output.all.joined(separator: "\n"),
                errors: child.errors.all.joined(separator: "\n"))
        }

        private static func start(_ arguments: [String]) throws -> ChildProcess {
            try ChildProcess("ekiden discover", try Programs.ekiden(), ["discover"] + arguments)
        }
    }
}
