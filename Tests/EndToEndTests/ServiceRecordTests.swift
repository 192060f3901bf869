import Foundation
import Testing

extension EndToEnd {
    /// Endpoints from SRV records (RFC 2782).
    @Suite("Service records")
    struct ServiceRecords {
        private static let service = "_grpc._tcp.tasks.local"

        @Test("Ports, weights and priorities count; the next priority serves while nobody of the first is there")
        func portsAndPriorities() async throws {
            try await Processes.scope { processes in
                let ports = [try FreePort.next(), try FreePort.next(), try FreePort.next()]
                // One of the targets has an IPv6 address only.
                let addresses = ["127.0.1.1", "::1", "127.0.1.3"]
                var first: [GracefulTask] = []
                for index in 0..<2 {
                    first.append(try await processes.gracefulTask(addresses[index], port: ports[index]))
                }
                _ = try await processes.fleet([addresses[2]], port: ports[2])
                let dns = try await processes.dns()
                for (index, address) in addresses.enumerated() {
                    try await dns.answer("t\(index).local", .init(addresses: [address]))
                }
                try await dns.answer(
                    Self.service,
                    .init(services: [
                        .init(priority: 10, weight: 3, port: ports[0], target: "t0.local"),
                        .init(priority: 10, weight: 1, port: ports[1], target: "t1.local"),
                        .init(priority: 20, weight: 1, port: ports[2], target: "t2.local"),
                    ]))
                let ekiden = try await processes.ekiden(
                    ["tasks": "discover: srv://\(Self.service), connect_backoff_max: 2s"], dns)
                try await ekiden.awaitHosts(addresses, in: "tasks", within: .seconds(10))
                let load = try await processes.load(ekiden)
                let weighted = try await load.take(TestScale.rate * 2)
                await ekiden.expect(Set(weighted.split.keys) == ["127.0.1.1", "::1"], of: "tasks", weighted)
                let share = Double(weighted.split["127.0.1.1"] ?? 0) / Double(weighted.calls.count)
                await ekiden.expect(abs(share - 0.75) < 0.05, "a share of \(share)", of: "tasks", weighted)

                for task in first { try await task.stop() }
                try await load.take(for: .seconds(1))
                let second = try await load.take(TestScale.rate)
                await ekiden.expect(Set(second.split.keys) == [addresses[2]], of: "tasks", second)

                _ = try await processes.gracefulTask(addresses[0], port: ports[0])
                try await poll(within: .seconds(10), "answers of the first priority alone") {
                    Set(try await load.take(for: .milliseconds(300)).split.keys) == [addresses[0]]
                }
                let log = try await load.stop()
                await ekiden.expect(log.failures.isEmpty, of: "tasks", log)
                try await ekiden.checkSettled()
            }
        }

        @Test("Eight of twelve records per answer: all twelve get their share")
        func truncated() async throws {
            let addresses = Fleet.addresses(1...12)
            try await Processes.scope { processes in
                let fleet = try await processes.fleet(addresses)
                let dns = try await processes.dns()
                for (index, address) in addresses.enumerated() {
                    try await dns.answer("t\(index).local", .init(addresses: [address]))
                }
                let services = addresses.indices.map {
                    DNSServer.Records.Service(port: fleet.port, target: "t\($0).local")
                }
                try await dns.answer(Self.service, .init(services: services, limit: 8))
                let ekiden = try await processes.ekiden(["tasks": "discover: srv://\(Self.service)"], dns)
                let load = try await processes.load(ekiden)
                try await ekiden.awaitHosts(addresses, in: "tasks", within: .seconds(40))
                try await load.take()
                let even = try await load.take(TestScale.rate * 2)
                await ekiden.expect(even.isEven(over: addresses), of: "tasks", even)
                let log = try await load.stop()
                await ekiden.expect(log.failures.isEmpty, of: "tasks", log)
                try await ekiden.checkSettled()
            }
        }
    }
}
