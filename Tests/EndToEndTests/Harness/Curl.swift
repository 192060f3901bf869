import Foundation

/// What an HTTP server answered.
struct HTTPAnswer: Sendable {
    var status: Int
    var body: String
    /// What curl says on stderr.
    var error: String
    /// curl's exit code: 0 when there was an answer.
    var exitCode: Int32
    var seconds: Double
}

/// HTTP by an independent client.
enum Curl {
    static func get(_ url: String, _ options: [String] = []) async throws -> HTTPAnswer {
        let started = ContinuousClock.now
        let child = try ChildProcess(
            "curl", try Programs.curl(),
            ["--silent", "--show-error", "--max-time", "10", "--write-out", "\n%{http_code}\n"] + options + [url])
        child.closeInput()
        let exitCode = try await child.exitCode()
        // The log closes when curl's end of the pipe does: then the body is whole.
        _ = try? await child.output.first("the end") { (_: String) -> Bool? in nil }
        _ = try? await child.errors.first("the end") { (_: String) -> Bool? in nil }
        let lines = child.output.all
        let elapsed = ContinuousClock.now - started
        return HTTPAnswer(
            status: lines.last.flatMap { Int($0) } ?? 0, body: lines.dropLast().joined(separator: "\n"),
            error: child.errors.all.joined(separator: "\n"), exitCode: exitCode, seconds: elapsed / .seconds(1))
    }
}
