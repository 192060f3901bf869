import Foundation
import Testing

extension EndToEnd {
    /// Tasks that are gone before DNS says so, and addresses that belong to somebody else by then.
    @Suite("Vanished tasks")
    struct VanishedTasks {
        private static let cluster = "tasks.local"

        @Test(
            "A task is killed before it leaves DNS, and after: nothing fails but what was in flight on it",
            arguments: ["127.0.1.5", "::1"])
        func killed(_ address: String) async throws {
            let staying = Fleet.addresses(1...4)
            let all = staying + [address]
            try await Processes.scope { processes in
                let fleet = try await processes.fleet(staying)
                var victim = try await processes.fleet([address], port: fleet.port)
                let dns = try await processes.dns()
                try await dns.answer(Self.cluster, .init(addresses: all))
                let ekiden = try await processes.ekiden(
                    [Self.cluster: "port: \(fleet.port), discover: dns://\(Self.cluster), connect_backoff_max: 2s"], dns
                )
                try await ekiden.awaitHosts(all, in: Self.cluster, within: .seconds(10))
                // Long enough that some are in flight at any moment.
                let load = try await processes.load(ekiden, delay: .milliseconds(30))
                let before = try await load.take(TestScale.rate)
                await ekiden.expect(before.isEven(over: all), of: Self.cluster, before)

                let death = try await victim.kill()
                let after = try await load.take(for: .seconds(3))
                // Thirty milliseconds of its share, and what came while it died.
                let most = Double(TestScale.rate) / 5 * (0.03 + death.upperBound - death.lowerBound) + 3
                await ekiden.expect(
                    Double(after.failures.count) <= most, "more than \(most) failed", of: Self.cluster, after,
                    since: death.lowerBound)

                // It comes back at the same address, and DNS has named it all the time.
                victim = try await processes.fleet([address], port: fleet.port)
                try await poll(within: .seconds(10), "answers of the task that is back") {
                    try await load.take().split[address] != nil
                }

                try await dns.answer(Self.cluster, .init(addresses: staying))
                try await ekiden.awaitHosts(staying, in: Self.cluster, within: .seconds(4))
                try await load.take(for: .milliseconds(200))
                _ = try await victim.kill()
                try await load.take(for: .seconds(1))
                let log = try await load.stop()
                let others = log.failures.filter { $0.start > death.upperBound || $0.end < death.lowerBound }
                await ekiden.expect(others.isEmpty, of: Self.cluster, log, since: death.lowerBound)
                try await ekiden.checkSettled()
            }
        }

        @Test("An address that another service has taken over gets no call, while DNS still names it")
        func reused() async throws {
            let all = Fleet.addresses(1...3)
            let staying = Array(all[..<2])
            try await Processes.scope { processes in
                let fleet = try await processes.fleet(staying, services: ["demo.Users"])
                let victim = try await processes.fleet([all[2]], port: fleet.port, services: ["demo.Users"])
                let dns = try await processes.dns()
                try await dns.answer(Self.cluster, .init(addresses: all))
                let ekiden = try await processes.ekiden(
                    [
                        Self.cluster: """
                        port: \(fleet.port), discover: dns://\(Self.cluster), verify_service: demo.Users, \
                        connect_backoff_max: 2s
                        """
                    ], dns)
                let load = try await processes.load(ekiden)
                try await poll(within: .seconds(10), "answers of all three") {
                    try await load.take().split.count == 3
                }

                let death = try await victim.kill()
                let stranger = try await processes.fleet([all[2]], port: fleet.port, services: ["demo.Orders"])
                let log = try await load.take(for: .seconds(4)).filter { $0.start > death.upperBound }
                #expect(try await stranger.calls() == [all[2]: 0])
                #expect(Set(log.split.keys) == Set(staying))

                try await dns.answer(Self.cluster, .init(addresses: staying))
                try await ekiden.awaitHosts(staying, in: Self.cluster, within: .seconds(4))
                let late = try await load.stop().filter { $0.start > death.upperBound }
                await ekiden.expect(late.failures.isEmpty, of: Self.cluster, late, since: death.lowerBound)
                #expect(try await stranger.calls() == [all[2]: 0])
                try await ekiden.checkSettled()
            }
        }
    }
}
