import Foundation
import Testing

extension EndToEnd {
    /// dnsmasq, which nobody here wrote.
    @Suite("A real name server")
    struct RealNameServer {
        @Test("A, AAAA and SRV from dnsmasq: changes arrive, and its absence hurts nobody")
        func dnsmasq() async throws {
            let tasks = Fleet.addresses(1...3)
            try await Processes.scope { processes in
                let fleet = try await processes.fleet(tasks + ["::1"])
                let server = try Dnsmasq()
                try server.write(["127.0.1.1 users.test", "127.0.1.2 users.test", "::1 six.test"])
                try await server.start(services: ["_grpc._tcp.users.test,users.test,\(fleet.port)"])
                let names = ["users.test", "six.test", "srv.test"]
                let ekiden = try await processes.ekiden(
                    [
                        names[0]: "port: \(fleet.port), discover: dns://users.test",
                        names[1]: "port: \(fleet.port), discover: dns://six.test",
                        names[2]: "discover: srv://_grpc._tcp.users.test",
                    ], servers: ["127.0.0.1:\(server.port)"])
                for (name, hosts) in zip(names, [Array(tasks[..<2]), ["::1"], Array(tasks[..<2])]) {
                    try await ekiden.awaitHosts(hosts, in: name, within: .seconds(10))
                }
                let load = try await processes.load(ekiden, authorities: names)

                try server.write(["127.0.1.2 users.test", "127.0.1.3 users.test", "::1 six.test"])
                server.reload()
                for name in [names[0], names[2]] {
                    try await ekiden.awaitHosts(Array(tasks[1...]), in: name, within: .seconds(10))
                }

                try await server.stop()
                try await load.take()
                let away = try await load.take(for: .seconds(4))
                for (name, hosts) in zip(names, [Array(tasks[1...]), ["::1"], Array(tasks[1...])]) {
                    let own = away.filter { $0.authority == name }
                    await ekiden.expect(own.isEven(over: hosts), of: name, own)
                }

                try server.write(tasks.map { "\($0) users.test" } + ["::1 six.test"])
                try await server.start(services: ["_grpc._tcp.users.test,users.test,\(fleet.port)"])
                for name in [names[0], names[2]] {
                    try await ekiden.awaitHosts(tasks, in: name, within: .seconds(15))
                }
                let log = try await load.stop()
                #expect(log.failures.isEmpty, "\(log.story())")
                try await server.stop()
                try await ekiden.checkSettled()
            }
        }
    }
}
