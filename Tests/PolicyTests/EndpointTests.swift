import Synchronization
import Testing

@testable import Policy

@Suite("Endpoint")
struct EndpointTests {
    private let second: Int64 = 1_000_000_000

    @Test("the pause doubles with every failure in a row, up to the ceiling, and ends with a success")
    func backOff() {
        let endpoint = Endpoint(address: EndpointAddress(host: "10.0.0.1", port: 1))
        #expect(!endpoint.isCoolingDown(now: 0))
        for (failure, pause) in [1, 2, 4, 8, 16, 30, 30, 30].enumerated() {
            let now = Int64(failure) * 1_000 * second
            endpoint.recordUnreachable(now: now, base: second, ceiling: 30 * second)
            let end = now + Int64(pause) * second
            #expect(endpoint.isCoolingDown(now: end - 1), "failure \(failure + 1)")
            #expect(!endpoint.isCoolingDown(now: end), "failure \(failure + 1)")
        }
        endpoint.recordUnreachable(now: 0, base: second, ceiling: 30 * second)
        endpoint.recordReached()
        #expect(!endpoint.isCoolingDown(now: 0))
        #expect(!endpoint.isUnreachable)
        endpoint.recordUnreachable(now: 0, base: second, ceiling: 30 * second)
        #expect(!endpoint.isCoolingDown(now: second))
    }

    @Test("a task that fails for weeks pauses no longer than the ceiling")
    func manyFailures() {
        let endpoint = Endpoint(address: EndpointAddress(host: "10.0.0.1", port: 1))
        for _ in 0..<100_000 { endpoint.recordUnreachable(now: 5, base: 3_600 * second, ceiling: 30 * second) }
        #expect(endpoint.isCoolingDown(now: 30 * second))
        #expect(!endpoint.isCoolingDown(now: 5 + 30 * second))
    }

    @Test("one worker gets the probe, and its failure lengthens the pause although the lease has not run out")
    func probe() {
        let endpoint = Endpoint(address: EndpointAddress(host: "10.0.0.1", port: 1))
        #expect(!endpoint.claimProbe(now: 100 * second, lease: second))
        #expect(endpoint.recordUnreachable(now: 0, base: second, ceiling: 30 * second))
        // The same incident, seen again.
        #expect(!endpoint.recordUnreachable(now: 0, base: second, ceiling: 30 * second))
        #expect(endpoint.isUnreachable)
        #expect(!endpoint.claimProbe(now: second - 1, lease: second))
        #expect(endpoint.claimProbe(now: second, lease: 3 * second))
        #expect(!endpoint.claimProbe(now: second, lease: 3 * second))
        #expect(endpoint.recordUnreachable(now: 2 * second, base: second, ceiling: 30 * second, isProbe: true))
        #expect(endpoint.isCoolingDown(now: 4 * second - 1))
        #expect(endpoint.isUnreachable && !endpoint.isCoolingDown(now: 4 * second))
        #expect(endpoint.claimProbe(now: 4 * second, lease: second))
        endpoint.recordReached()
        #expect(!endpoint.isUnreachable)
    }

    @Test("of many workers that see one incident in the same moment, one has seen it")
    func sameMoment() async {
        for _ in 0..<200 {
            let endpoint = Endpoint(address: EndpointAddress(host: "10.0.0.1", port: 1))
            let news = await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<4 {
                    group.addTask { endpoint.recordUnreachable(now: 5, base: 1_000_000, ceiling: 30_000_000) }
                }
                return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(news == 1)
            #expect(endpoint.isUnreachable)
        }
    }

    @Test("successes and failures that cross each other leave an endpoint that can be marked and probed")
    func crossing() async {
        for _ in 0..<200 {
            let endpoint = Endpoint(address: EndpointAddress(host: "10.0.0.1", port: 1))
            await withTaskGroup(of: Void.self) { group in
                for worker in 0..<4 {
                    group.addTask {
                        for time in 1...40 {
                            if worker < 2 {
                                endpoint.recordUnreachable(now: Int64(time), base: 1, ceiling: 30, isProbe: worker == 0)
                            } else {
                                endpoint.recordReached()
                            }
                        }
                    }
                }
            }
            // Later than every pause there was, or right behind a success.
            if !endpoint.isUnreachable { #expect(endpoint.recordUnreachable(now: 2, base: 1, ceiling: 30)) }
            #expect(endpoint.isUnreachable)
            #expect(endpoint.claimProbe(now: 1_000, lease: 1))
        }
    }

    @Test("an address is written as URLs write it")
    func description() {
        #expect(EndpointAddress(host: "10.0.0.3", port: 50_051).description == "10.0.0.3:50051")
        #expect(Endpoint(address: EndpointAddress(host: "fd00::3", port: 1)).name == "[fd00::3]:1")
        #expect(ListenAddress.ip(host: "::", port: 8).description == "[::]:8")
        #expect(ListenAddress.unix(path: "/run/e.sock").description == "unix:/run/e.sock")
    }
}
