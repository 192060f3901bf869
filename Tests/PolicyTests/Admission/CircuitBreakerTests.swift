import Synchronization
import Testing

@testable import Policy

@Suite("Circuit breakers")
struct CircuitBreakerTests {
    private let state = ClusterState(id: 1)

    private func cluster(_ change: (inout CircuitBreakerSettings) -> Void) -> Cluster {
        var settings = ClusterSettings()
        change(&settings.breakers)
        return Cluster(name: "users", settings: settings, endpoints: [], resolution: .resolved, state: state)
    }

    @Test("without limits everything is let in and nothing is counted")
    func noLimit() throws {
        let cluster = cluster { _ in }
        for _ in 0..<1_000 {
            #expect(CircuitBreaker.admitRequest(to: cluster) != nil)
            #expect(CircuitBreaker.admitRetry(to: cluster) != nil)
            #expect(CircuitBreaker.admitConnection(to: cluster, isOnly: { false }) != nil)
        }
        #expect(state.activeRequests.load(ordering: .relaxed) == 0)
        #expect(state.activeRetries.load(ordering: .relaxed) == 0)
        #expect(state.openConnections.load(ordering: .relaxed) == 0)
    }

    @Test("a limit lets in as many, and another one for each that ended")
    func limit() throws {
        let cluster = cluster {
            $0.maxRequests = 3
            $0.maxRetries = 0
            $0.maxConnections = 1
        }
        let places = (0..<3).compactMap { _ in CircuitBreaker.admitRequest(to: cluster) }
        #expect(places.count == 3)
        #expect(CircuitBreaker.admitRequest(to: cluster) == nil)
        CircuitBreaker.requestEnded(places[0], of: state)
        #expect(CircuitBreaker.admitRequest(to: cluster) != nil)
        #expect(CircuitBreaker.admitRequest(to: cluster) == nil)
        #expect(CircuitBreaker.admitRetry(to: cluster) == nil)
        let connection = try #require(CircuitBreaker.admitConnection(to: cluster, isOnly: { false }))
        #expect(CircuitBreaker.admitConnection(to: cluster, isOnly: { false }) == nil)
        // A worker that has none may always open one.
        let only = try #require(CircuitBreaker.admitConnection(to: cluster, isOnly: { true }))
        CircuitBreaker.connectionEnded(only, of: cluster.state)
        CircuitBreaker.connectionEnded(connection, of: state)
        #expect(CircuitBreaker.admitConnection(to: cluster, isOnly: { false }) != nil)
    }

    @Test("what is in flight when a reload sets, changes or removes a limit gives back what it took")
    func reload() throws {
        let unlimited = cluster { _ in }
        let limited = cluster { $0.maxRequests = 2 }
        let wide = cluster { $0.maxRequests = 4 }
        let before = try #require(CircuitBreaker.admitRequest(to: unlimited))
        let first = try #require(CircuitBreaker.admitRequest(to: limited))
        let second = try #require(CircuitBreaker.admitRequest(to: limited))
        // Nothing was taken, and the limit does not grow by giving it back.
        CircuitBreaker.requestEnded(before, of: state)
        #expect(CircuitBreaker.admitRequest(to: limited) == nil)
        let third = try #require(CircuitBreaker.admitRequest(to: wide))
        #expect(CircuitBreaker.admitRequest(to: limited) == nil)
        let after = try #require(CircuitBreaker.admitRequest(to: unlimited))
        for place in [first, second, third, after] { CircuitBreaker.requestEnded(place, of: state) }
        #expect(state.activeRequests.load(ordering: .relaxed) == 0)
    }

    @Test("threads never get more places than there are, and none is lost")
    func threads() async {
        let cluster = cluster { $0.maxRequests = 5 }
        let state = self.state
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<5_000 {
                        guard let place = CircuitBreaker.admitRequest(to: cluster) else { continue }
                        #expect(state.activeRequests.load(ordering: .relaxed) <= 5)
                        CircuitBreaker.requestEnded(place, of: state)
                    }
                }
            }
        }
        #expect(state.activeRequests.load(ordering: .relaxed) == 0)
    }

    @Test("refusals name cluster and limit and say when to come back")
    func refusals() throws {
        var random = SplitMix64(seed: 1)
        let cluster = cluster { $0.maxRequests = 3 }
        for failure in [
            CircuitBreaker.refusal(of: cluster, random: &random),
            CircuitBreaker.adaptiveRefusal(of: cluster, limit: 3, random: &random),
        ] {
            #expect(failure.kind == .circuitOpen)
            #expect(failure.message.contains("cluster users") && failure.message.contains("3)"))
            let pushback = try #require(failure.pushback)
            #expect((.milliseconds(100) ... .milliseconds(1_000)).contains(pushback))
        }
    }
}
