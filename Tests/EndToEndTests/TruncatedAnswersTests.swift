import Foundation
import Testing

extension EndToEnd {
    /// DNS answers that hold eight random records of more, as Route 53 gives them.
    @Suite("Truncated answers")
    struct TruncatedAnswers {
        private static let cluster = "tasks.local"
        private static let patience: Duration = .seconds(60)

        @Test(
            "Eight of twenty per answer: all get their share, those that stop cost no call, six are exact"
        )
        func sampleOfTwenty() async throws {
            let all = Fleet.addresses(1...20)
            let (staying, leaving) = (Array(all[..<12]), Array(all[12...]))
            try await Processes.scope { processes in
                let fleet = try await processes.fleet(staying)
                var leavers: [GracefulTask] = []
                for address in leaving {
                    leavers.append(try await processes.gracefulTask(address, port: fleet.port))
                }
                let dns = try await processes.dns()
                try await dns.answer(Self.cluster, .init(addresses: all, limit: 8))
                let ekiden = try await processes.ekiden(
                    [Self.cluster: "port: \(fleet.port), discover: dns://\(Self.cluster)"], dns)
                let load = try await processes.load(ekiden)

                try await ekiden.awaitHosts(all, in: Self.cluster, within: Self.patience)
                try await load.take()
                let even = try await quietAnswers(all, ekiden, dns, load)
                await ekiden.expect(even.isEven(over: all), of: Self.cluster, even)
                let reading = try await ekiden.discovery(Self.cluster).discovery.first
                await ekiden.expect(reading?.known == 20, of: Self.cluster)
                #expect(reading?.truncated == true)
                await ekiden.expect((17...24).contains(reading?.estimated ?? 0), of: Self.cluster)

                try await dns.answer(Self.cluster, .init(addresses: staying, limit: 8))
                try await dns.awaitQueries(2, Self.cluster, "A")
                let stopped = Moment.now
                for task in leavers { task.child.deliver(SIGTERM) }
                for task in leavers { #expect(try await task.child.exitCode() == 0) }
                try await ekiden.awaitHosts(staying, in: Self.cluster, within: Self.patience)
                try await load.take()
                let shrunk = try await load.take(TestScale.rate * 2)
                await ekiden.expect(shrunk.isEven(over: staying), of: Self.cluster, shrunk)

                let few = Array(all[..<6])
                try await dns.answer(Self.cluster, .init(addresses: few, limit: 8))
                // The whole answer replaces at once: the TTL, its jitter and the question.
                try await ekiden.awaitHosts(few, in: Self.cluster, within: .seconds(4))
                try await load.take()
                let exact = try await load.take(TestScale.rate * 2)
                await ekiden.expect(exact.isEven(over: few), of: Self.cluster, exact)

                let log = try await load.stop()
                await ekiden.expect(log.failures.isEmpty, of: Self.cluster, log, since: stopped)
                try await ekiden.checkSettled()
            }
        }

        /// The calls during ``TestScale/answers`` answers, each of which leaves the endpoints as they are.
        private func quietAnswers(
            _ hosts: [String], _ ekiden: EkidenProcess, _ dns: DNSServer, _ load: PacedLoad
        ) async throws -> CallLog {
            let before = try await dns.queries(Self.cluster, "A")
            var log = CallLog()
            try await poll(within: .seconds(2 * TestScale.answers + 30), every: .milliseconds(500), "the answers") {
                let now = try await ekiden.discovery(Self.cluster)
                guard now.hosts == Set(hosts) else {
                    throw HarnessError("expired falsely\n\(await ekiden.story(Self.cluster))")
                }
                log += try await load.take()
                return try await dns.queries(Self.cluster, "A") >= before + TestScale.answers
            }
            return log
        }

        @Test(
            "Tasks that live on but are in no AAAA answer any more expire by absence, without a failed call",
            .enabled(if: NetworkNamespace.isAvailable, "needs root for a network namespace with addresses of its own"))
        func absentOverIPv6() async throws {
            let all = (1...20).map { String(format: "fd00:e::%x", $0) }
            try await Processes.scope { processes in
                let network = try await NetworkNamespace.make(processes)
                for address in all { try await network.run("ip address add \(address)/128 dev lo nodad") }
                try await NetworkNamespace.$current.withValue(network) {
                    let fleet = try await processes.fleet(all)
                    let dns = try await processes.dns()
                    try await dns.answer(Self.cluster, .init(addresses: all, limit: 8))
                    let ekiden = try await processes.ekiden(
                        [Self.cluster: "port: \(fleet.port), discover: dns://\(Self.cluster)"], dns)
                    let load = try await processes.load(ekiden)
                    try await ekiden.awaitHosts(all, in: Self.cluster, within: Self.patience)

                    let staying = Array(all[..<12])
                    try await dns.answer(Self.cluster, .init(addresses: staying, limit: 8))
                    try await ekiden.awaitHosts(staying, in: Self.cluster, within: .seconds(100))
                    try await load.take()
                    let shrunk = try await load.take(TestScale.rate * 2)
                    await ekiden.expect(shrunk.isEven(over: staying), of: Self.cluster, shrunk)

                    let few = Array(all[..<6])
                    try await dns.answer(Self.cluster, .init(addresses: few, limit: 8))
                    try await ekiden.awaitHosts(few, in: Self.cluster, within: .seconds(4))
                    let log = try await load.stop()
                    await ekiden.expect(log.failures.isEmpty, of: Self.cluster, log)
                    try await ekiden.checkSettled()
                }
            }
        }
    }
}
