import Foundation
import Synchronization

/// A process that a test started: its lines as they come, its stdin, and its end.
final class ChildProcess: Sendable {
    let name: String
    let output: EventLog<String>
    let errors: EventLog<String>
    private let ends: EventLog<Int32>
    private let process: Process
    private let input: Mutex<FileHandle?>
    /// Whether the test killed it, so that its end by a signal is no crash.
    private let isKilled = Mutex(false)

    init(_ name: String, _ executable: URL, _ arguments: [String], environment: [String: String] = [:]) throws {
        // Without this, a write to a process that has just ended would end the tests.
        signal(SIGPIPE, SIG_IGN)
        self.name = name
        output = EventLog("\(name) (stdout)")
        errors = EventLog("\(name) (stderr)")
        ends = EventLog("\(name) (exit)")

        process = Process()
        if let namespace = NetworkNamespace.current {
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = namespace.entry(executable, arguments)
        } else {
            process.executableURL = executable
            process.arguments = arguments
        }
        // A crash is told in few lines, the reason and the frames of the thread.
        let backtrace = ["SWIFT_BACKTRACE": "threads=crashed,registers=none,images=none,color=no,interactive=no"]
        process.environment = ProcessInfo.processInfo.environment
            .merging(backtrace) { theirs, _ in theirs }
            .merging(environment) { _, ours in ours }
        let stdin = Pipe()
        let stdout = Pipe()
        let stderr = Pipe()
        process.standardInput = stdin
        process.standardOutput = stdout
        process.standardError = stderr
        input = Mutex(stdin.fileHandleForWriting)
        Self.forward(stdout, to: output)
        Self.forward(stderr, to: errors)
        process.terminationHandler = { [weak self, ends] process in
            self?.closeInput()
            ends.append(process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus)
        }
        do {
            try process.run()
        } catch {
            throw HarnessError("cannot start \(executable.path): \(error.localizedDescription)")
        }
        // The child's ends of the pipes. Hundreds of processes come and go in a run; Foundation, which lists all open
        // descriptors to start one, reads beyond its list when there are more than a thousand.
        for end in [stdin.fileHandleForReading, stdout.fileHandleForWriting, stderr.fileHandleForWriting] {
            try? end.close()
        }
    }

    var processID: Int32 { process.processIdentifier }

    /// Writes one line to stdin.
    func send(_ line: String) throws {
        try input.withLock { input in
            guard let input else { throw HarnessError("stdin of \(name) is closed") }
            try input.write(contentsOf: Data((line + "\n").utf8))
        }
    }

    func closeInput() {
        input.withLock { input in
            try? input?.close()
            input = nil
        }
    }

    func deliver(_ signal: Int32) {
        if signal == SIGKILL { isKilled.withLock { $0 = true } }
        kill(processID, signal)
    }

    /// The exit code; negative for the signal that ended it.
    func exitCode(within limit: Duration = .seconds(60)) async throws -> Int32 {
        try await ends.first(within: limit, "the exit") { $0 }
    }

    /// Ends the process at once: how processes leave on their own is for the tests of that.
    /// - Returns: the exit code if it had left by itself before; nil if the test ended it.
    @discardableResult
    func end() async -> Int32? {
        closeInput()
        if let code = ends.all.first { return isKilled.withLock { $0 } ? nil : code }
        deliver(SIGKILL)
        _ = try? await exitCode(within: .seconds(5))
        return nil
    }

    /// The last lines of both streams, for a failed test.
    var transcript: String {
        let said = output.all.suffix(60).map { "\(name) out | \($0)" }
        let complained = errors.all.suffix(60).map { "\(name) err | \($0)" }
        return (said + complained).joined(separator: "\n")
    }

    /// A thread per pipe that reads to its end. Not Dispatch's readability events: on Linux one now and then came only
    /// with the next timer, when the descriptor's number had been used before.
    private static func forward(_ pipe: Pipe, to log: EventLog<String>) {
        let handle = pipe.fileHandleForReading
        Thread.detachNewThread {
            var rest = Data()
            var bytes = [UInt8](repeating: 0, count: 65_536)
            while case let count = read(handle, into: &bytes), count > 0 {
                rest.append(contentsOf: bytes[..<count])
                while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                    log.append(String(decoding: rest[rest.startIndex..<end], as: UTF8.self))
                    rest = Data(rest[(end + 1)...])
                }
            }
            try? handle.close()
            if !rest.isEmpty { log.append(String(decoding: rest, as: UTF8.self)) }
            log.close()
        }
    }

    /// How many bytes came; 0 at the end. Not `availableData`, which ends the whole run when a signal interrupts it.
    private static func read(_ handle: FileHandle, into bytes: inout [UInt8]) -> Int {
        while true {
            let count = bytes.withUnsafeMutableBytes {
                Foundation.read(handle.fileDescriptor, $0.baseAddress, $0.count)
            }
            if count >= 0 { return count }
            if errno != EINTR { return 0 }
        }
    }
}
