import NIOCore
import NIOHTTP1
import Policy
import TestSupport
import Testing

@testable import Control

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

@Suite("What probes make of answers", .timeLimit(.minutes(2)))
struct HealthProbeTests {
    /// The first verdict decides alone: it is what one check showed.
    private func verdict(_ probe: HealthProbe, of endpoint: Endpoint, timeout: Duration = .seconds(20)) async throws
        -> String?
    {
        var verdict: String?
        endpoint.health.set(.pending)
        try await RunningChecks.with { running in
            running.follow(.quick(probe, timeout: timeout), endpoint)
            verdict = await running.next()
        }
        let isHealthy = verdict == "healthy (1)"
        #expect(endpoint.verdict == (isHealthy ? .healthy : .unhealthy))
        return verdict.map { String($0.dropLast(" (1)".count)) }
    }

    private static let answers: [(HealthTestTask.Answer, String)] = [
        (.status(.serving), "healthy"),
        (.status(.notServing), "NOT_SERVING"),
        (.status(.unknown), "UNKNOWN"),
        (.status(.serviceUnknown), "SERVICE_UNKNOWN"),
        (.status(ServingStatus(rawValue: 9)), "serving status 9"),
        (.grpc(12), "healthy"),
        (.grpc(5), "NOT_FOUND"),
        (.grpc(14), "UNAVAILABLE"),
        (.grpc(0), "an answer that cannot be read"),
        (.grpc(99), "unknown gRPC status"),
        (.http(404), "HTTP status 404"),
        (.http(200), "no gRPC status"),
        (.bytes([1, 2, 3]), "an answer that cannot be read"),
        (.bytes(Array(repeating: 7, count: 50_000)), "an answer that cannot be read"),
        (.reset, "stream reset: INTERNAL_ERROR"),
        (.closedConnection, "connection closed by the task"),
    ]

    @Test("a Check passes for SERVING and for a task without the service of health", arguments: answers)
    func check(answer: HealthTestTask.Answer, expected: String) async throws {
        let task = try await HealthTestTask.start(check: answer)
        let verdict = try await verdict(.check, of: task.endpoint)
        // A close is a reset where the task has not read all.
        #expect(verdict == expected || expected.contains("closed") && verdict == "connection reset")
        await task.stop()
    }

    @Test("a Check asks for the service")
    func service() async throws {
        let task = try await HealthTestTask.start()
        #expect(try await verdict(.grpc(service: "a.B", watch: false), of: task.endpoint) == "healthy")
        var seen = task.seen.makeAsyncIterator()
        #expect(await seen.next() == .connection)
        let message: [UInt8] = [0, 0, 0, 0, 5, 0x0A, 3] + Array("a.B".utf8)
        #expect(await seen.next() == .request(path: "/grpc.health.v1.Health/Check", body: message))
        await task.stop()
    }

    private static let watches: [(HealthTestTask.Answer, String)] = [
        (.status(.serving), "healthy"),
        (.status(.notServing), "NOT_SERVING"),
        (.status(.serviceUnknown), "SERVICE_UNKNOWN"),
        (.grpc(14), "the Watch ended: UNAVAILABLE"),
        (.http(404), "the Watch ended: no gRPC status"),
        (.bytes(Array(repeating: 7, count: 5_000)), "an answer that cannot be read"),
        (.reset, "the Watch was reset: INTERNAL_ERROR"),
        (.closedConnection, "connection closed by the task"),
    ]

    @Test("the first word of a Watch is a result, and so is its end without one", arguments: watches)
    func watch(answer: HealthTestTask.Answer, expected: String) async throws {
        let task = try await HealthTestTask.start(watch: answer)
        let verdict = try await verdict(.watch, of: task.endpoint)
        // A close is a reset where the task has not read all.
        #expect(verdict == expected || expected.contains("closed") && verdict == "connection reset")
        await task.stop()
    }

    private static let fallbacks: [(HealthTestTask.Answer, String)] = [
        (.status(.serving), "healthy"), (.status(.notServing), "NOT_SERVING"), (.grpc(12), "healthy"),
    ]

    @Test("a task without Watch is asked by Check, and one without either lives", arguments: fallbacks)
    func fallback(check: HealthTestTask.Answer, expected: String) async throws {
        let task = try await HealthTestTask.start(check: check, watch: .grpc(12))
        #expect(try await verdict(.watch, of: task.endpoint) == expected)
        await task.stop()
    }

    private static let statuses: [(Int, String)] = [
        (200, "healthy"), (204, "healthy"), (299, "healthy"), (300, "HTTP status 300"), (404, "HTTP status 404"),
        (503, "HTTP status 503"),
    ]

    @Test("a GET over HTTP/2 passes for the expected statuses", arguments: statuses)
    func get(status: Int, expected: String) async throws {
        let task = try await HealthTestTask.start(check: .http(status))
        #expect(try await verdict(.get, of: task.endpoint) == expected)
        var seen = task.seen.makeAsyncIterator()
        #expect(await seen.next() == .connection)
        #expect(await seen.next() == .request(path: "/healthz?full", body: []))
        await task.stop()
    }

    @Test(
        "a GET that a gRPC server answers fails, although the HTTP status is 200",
        arguments: [
            (HealthTestTask.Answer.grpc(12), "UNIMPLEMENTED"), (.grpc(0), "healthy"),
            (.grpc(99), "unknown gRPC status"),
        ])
    func getOfGRPC(answer: HealthTestTask.Answer, expected: String) async throws {
        let task = try await HealthTestTask.start(check: answer)
        #expect(try await verdict(.get, of: task.endpoint) == expected)
        await task.stop()
    }

    @Test("a GET over HTTP/1.1 passes for the expected statuses", arguments: statuses)
    func oldGet(status: Int, expected: String) async throws {
        let server = try await HealthTestWebServer.start(status: HTTPResponseStatus(statusCode: status))
        #expect(try await verdict(.oldGet, of: server.endpoint) == expected)
        await server.stop()
    }

    @Test("who speaks another protocol is ill, and is said to")
    func otherProtocols() async throws {
        let page = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
        let web = try await HealthTestWebServer.start(raw: page)
        #expect(try await verdict(.check, of: web.endpoint) == "the task speaks HTTP/1.1")
        #expect(
            try await verdict(.get, of: web.endpoint) == "the task speaks HTTP/1.1: set http_version: http/1.1")
        await web.stop()
        let other = try await HealthTestWebServer.start(raw: "SSH-2.0-x\r\n\r\n")
        #expect(try await verdict(.oldGet, of: other.endpoint) == "no HTTP/1.1")
        await other.stop()
        let mute = try await HealthTestWebServer.start(raw: "")
        #expect(try await verdict(.oldGet, of: mute.endpoint) == "connection closed without an answer")
        await mute.stop()
    }

    private static let kinds: [HealthProbe] = [.check, .watch, .get, .oldGet, .tcp]

    @Test("who is not there is ill by every probe", arguments: kinds)
    func refusedConnection(probe: HealthProbe) async throws {
        #expect(try await verdict(probe, of: try ClosedPort.endpoint()) == "connection refused")
    }

    @Test("who takes the connection and says nothing is ill when the time is over", arguments: kinds.dropLast())
    func mute(probe: HealthProbe) async throws {
        let task = try await HealthTestTask.start(isMute: true)
        #expect(try await verdict(probe, of: task.endpoint, timeout: .milliseconds(200)) == "no answer within 200ms")
        // The connection is not used again.
        for await event in task.seen where event == .closed { break }
        await task.stop()
    }

    @Test("a connect that nobody answers is ill when the time is over", arguments: kinds)
    func blackHole(probe: HealthProbe) async throws {
        let hole = try await BlackHole.open()
        let verdict = try await verdict(probe, of: hole.endpoint, timeout: .milliseconds(200))
        // The check's own timer and the connect's run out in the same moment.
        #expect(verdict == "no answer within 200ms" || verdict == "no connection within 200ms")
        await hole.close()
    }

    @Test("a connection that is accepted is enough for a TCP probe")
    func tcp() async throws {
        let task = try await HealthTestTask.start(isMute: true)
        #expect(try await verdict(.tcp, of: task.endpoint) == "healthy")
        await task.stop()
    }

    @Test("what this host has run out of says nothing about the task")
    func ours() {
        for code in [EMFILE, ENFILE, EADDRNOTAVAIL, ENOMEM, ENETUNREACH, EPERM] {
            let result = ProbeErrors.result(IOError(errnoCode: code, reason: "connect"))
            guard case .inconclusive = result else {
                Issue.record("errno \(code): \(result)")
                continue
            }
        }
        for code in [ECONNREFUSED, ECONNRESET, ETIMEDOUT, EHOSTUNREACH] {
            guard case .failed = ProbeErrors.result(IOError(errnoCode: code, reason: "connect")) else {
                Issue.record("errno \(code)")
                continue
            }
        }
    }
}
