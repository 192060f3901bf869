import ArgumentParser
import Logging

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Where the process writes what it has to say: log lines and diagnostics to standard error, results to standard
/// output.
enum ProcessLog {
    /// Whether a person reads standard error on a terminal and has not asked for plain text (no-color.org).
    static let hasColor = isatty(STDERR_FILENO) == 1 && ProcessEnvironment.variables["NO_COLOR"] == nil

    /// Starts logging.
    /// - Parameter level: from the flag; else `EKIDEN_LOG_LEVEL`, else `info`.
    static func start(level: String?, environment: [String: String]) throws -> Logger {
        let text = level ?? environment["EKIDEN_LOG_LEVEL"].flatMap { $0.isEmpty ? nil : $0 } ?? "info"
        guard let threshold = Logger.Level(rawValue: text.lowercased()) else {
            let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            let origin = level == nil ? "EKIDEN_LOG_LEVEL" : "--log-level"
            printError("\(origin): error: '\(text)' is no level (one of \(levels))")
            throw ExitCodes.usage
        }
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = threshold
            return handler
        }
        return Logger(label: "ekiden")
    }

    /// Writes a line to standard error.
    static func printError(_ line: String) {
        emit(line + "\n", to: STDERR_FILENO)
    }

    /// Writes to standard output at once, also where that is a pipe.
    static func printResult(_ text: String) {
        emit(text, to: STDOUT_FILENO)
    }

    private static func emit(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if written <= 0 { return }
            bytes = bytes.dropFirst(written)
        }
    }
}
