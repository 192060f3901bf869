import Policy
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The demo's lines on standard output: at most 100 columns, in colour only on a terminal.
final class DemoScreen: Sendable {
    private let showsEvents: Bool
    private let hasColor: Bool
    /// Whether nobody reads any more (`ekiden demo | head`).
    private let readerIsGone = Mutex(false)

    private static let width = 100

    init(showsEvents: Bool) {
        self.showsEvents = showsEvents
        hasColor = isatty(STDOUT_FILENO) == 1 && ProcessEnvironment.variables["NO_COLOR"] == nil
    }

    /// What a line is about.
    enum Subject: String {
        case kill, drain, add, dns, ekiden, failed

        fileprivate var color: Color {
            switch self {
            case .kill: .yellow
            case .drain, .add, .dns: .cyan
            case .ekiden: .green
            case .failed: .red
            }
        }
    }

    fileprivate enum Color: Int {
        case red = 31, green, yellow, cyan = 36
    }

    var isUnread: Bool { readerIsGone.withLock { $0 } }

    /// A line as it is, for what people copy.
    func plain(_ line: String) {
        write(line)
    }

    /// One second: how many calls ended, how fast, how many failed, and who answered.
    /// - Parameter tasks: those to show even if they answered nothing.
    func second(_ sample: LoadSample, tasks: [String]) {
        let quantiles = sample.latencies.quantiles(0.5, 0.99)
        let names = Set(tasks).union(sample.answered.keys).sorted()
        let total = sample.answered.values.reduce(0, +)
        let shares = names.map { name in
            let share = total == 0 ? 0 : (Double(sample.answered[name] ?? 0) * 100 / Double(total)).rounded()
            return "\(Self.short(name)) \(Self.padded("\(Int(share))%", 3))"
        }
        let failed = Self.padded("\(sample.failed) failed", 8)
        let fields = [
            Self.padded("\(sample.ended) calls", 10),
            "p50 \(Self.milliseconds(quantiles?[0]))",
            "p99 \(Self.milliseconds(quantiles?[1])) ms",
            sample.failed > 0 ? colored(failed, .red) : failed,
            " " + shares.joined(separator: "  "),
        ]
        write(Self.timeOfDay() + " " + fields.joined(separator: "  "))
    }

    /// Something happened to a task, or Ekiden did something about it.
    func event(_ subject: Subject, _ text: String) {
        if showsEvents { line(subject, text) }
    }

    /// Calls that failed, with what their callers were told.
    func failure(_ failure: LoadFailure, count: Int) {
        let kind = failure.kind == .unary ? "unary call" : "stream"
        let calls = count == 1 ? "1 \(kind)" : "\(count) \(kind)s"
        line(.failed, "\(calls): \(failure.status.name): \(failure.message)")
    }

    private func line(_ subject: Subject, _ text: String) {
        let head = Self.timeOfDay() + "  "
        let label = subject.rawValue + String(repeating: " ", count: 8 - subject.rawValue.count)
        let margin = String(repeating: " ", count: head.count + label.count)
        let text = Self.wrapped(text, at: Self.width - margin.count).joined(separator: "\n" + margin)
        write(head + colored(label, subject.color) + text)
    }

    private func colored(_ text: String, _ color: Color) -> String {
        hasColor ? "\u{1B}[\(color.rawValue)m\(text)\u{1B}[0m" : text
    }

    private func write(_ line: String) {
        readerIsGone.withLock { isGone in
            var bytes = Array((line + "\n").utf8)[...]
            while !bytes.isEmpty, !isGone {
                let written = bytes.withUnsafeBytes { Self.writeBytes($0) }
                if written > 0 {
                    bytes = bytes.dropFirst(written)
                } else if errno != EINTR, errno != EAGAIN {
                    isGone = true
                }
            }
        }
    }

    private static func writeBytes(_ bytes: UnsafeRawBufferPointer) -> Int {
        #if canImport(Glibc)
        Glibc.write(STDOUT_FILENO, bytes.baseAddress, bytes.count)
        #elseif canImport(Musl)
        Musl.write(STDOUT_FILENO, bytes.baseAddress, bytes.count)
        #endif
    }

    // MARK: Text

    /// `.3` for a loopback address: the rest is the same for all.
    private static func short(_ name: String) -> String {
        name.split(separator: ".").last.map { ".\($0)" } ?? name
    }

    /// The text in lines of at most this many columns where it has spaces to break at.
    private static func wrapped(_ text: String, at columns: Int) -> [String] {
        text.split(separator: " ").reduce(into: []) { lines, word in
            if let last = lines.last, last.count + 1 + word.count <= columns {
                lines[lines.count - 1] = last + " " + word
            } else {
                lines.append(String(word))
            }
        }
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    /// Two decimals, five columns.
    private static func milliseconds(_ nanoseconds: Int64?) -> String {
        guard let nanoseconds else { return padded("-", 5) }
        let hundredths = (nanoseconds + 5_000) / 10_000
        let fraction = hundredths % 100
        return padded("\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction)", 5)
    }

    private static func timeOfDay() -> String {
        var now = time(nil)
        var parts = tm()
        localtime_r(&now, &parts)
        return [parts.tm_hour, parts.tm_min, parts.tm_sec]
            .map { $0 < 10 ? "0\($0)" : "\($0)" }.joined(separator: ":")
    }
}
