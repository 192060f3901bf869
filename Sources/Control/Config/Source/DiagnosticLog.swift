/// Collects what the reading of one file finds, so that all errors are told at once.
struct DiagnosticLog {
    /// A file with more errors than this gets the first ones and a line that says so.
    static let maxErrors = 100

    let source: SourceText
    private var diagnostics: [Diagnostic] = []
    private var seen: Set<String> = []
    private var errors = 0

    init(source: SourceText) {
        self.source = source
    }

    var hasErrors: Bool { errors > 0 }

    /// Adds an error. The same message at the same place counts once: an alias is read as often as it is used.
    mutating func error(_ message: String, at position: SourcePosition?, hint: String? = nil) {
        add(.error, message, position, hint)
    }

    /// Adds a warning.
    mutating func warning(_ message: String, at position: SourcePosition?, hint: String? = nil) {
        add(.warning, message, position, hint)
    }

    /// Adds what a check between values found.
    mutating func add(_ finding: ConfigurationChecks.Finding, at position: SourcePosition?) {
        add(finding.severity, finding.message, position, finding.hint)
    }

    /// All diagnostics in the order of the file, those without a position first.
    func sorted() -> [Diagnostic] {
        let whole = SourcePosition(line: 0, column: 0)
        var result = diagnostics.enumerated().sorted { left, right in
            (left.element.position ?? whole, left.offset) < (right.element.position ?? whole, right.offset)
        }.map(\.element)
        if errors > Self.maxErrors {
            result.removeAll { $0.severity == .warning }
            let message = "\(errors - Self.maxErrors) more errors are not shown"
            result.append(Diagnostic(origin: source.file, message: message))
        }
        return result
    }

    private mutating func add(
        _ severity: Diagnostic.Severity, _ message: String, _ position: SourcePosition?, _ hint: String?
    ) {
        if severity == .error {
            if errors >= Self.maxErrors {
                errors += 1
                return
            }
        } else if diagnostics.count >= Self.maxErrors {
            return
        }
        let identity = "\(position?.line ?? 0):\(position?.column ?? 0):\(message)"
        guard seen.insert(identity).inserted else { return }
        if severity == .error { errors += 1 }
        diagnostics.append(
            Diagnostic(
                severity, origin: source.file, position: position, message: message, hint: hint,
                excerpt: position.flatMap(source.excerpt(at:))))
    }
}
