import Policy

extension GRPCStatus {
    /// As the configuration has it: `deadline_exceeded`.
    var word: String { name.lowercased() }

    private static let byWord = Dictionary(uniqueKeysWithValues: allCases.map { ($0.word, $0) })

    /// - Parameter word: in either case, since gRPC writes its statuses in capitals.
    init?(word: String) {
        guard let status = Self.byWord[word.lowercased()] else { return nil }
        self = status
    }
}

extension ValueSyntax<GRPCStatus> {
    /// A gRPC status that says that something failed, by its name.
    static let grpcFailure = ValueSyntax("a gRPC status") { (text) throws(ValueSyntaxError) in
        if let status = GRPCStatus(word: text) {
            if status != .ok { return status }
            throw ValueSyntaxError("\(quoted(text)) is not a failure")
        }
        throw ValueSyntaxError("\(quoted(text)) is not a gRPC status", hint: hintForStatus(text))
    } render: {
        $0.word
    }
}

extension ValueSyntax<Int> {
    /// An HTTP status inside `range`.
    static func httpStatus(_ range: ClosedRange<Int>) -> ValueSyntax {
        ValueSyntax("an HTTP status") { (text) throws(ValueSyntaxError) in
            if let status = Int(text), range.contains(status) { return status }
            let hint = "from \(range.lowerBound) to \(range.upperBound)"
            throw ValueSyntaxError("\(quoted(text)) is not an HTTP status that fits here", hint: hint)
        } render: {
            String($0)
        }
    }
}

extension ValueSyntax<ClosedRange<Int>> {
    /// HTTP statuses: `200-299`, or one alone.
    static let httpStatuses = ValueSyntax("a range of HTTP statuses") { (text) throws(ValueSyntaxError) in
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
        guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2,
            (100...599).contains(first), (first...599).contains(max(first, last)), first <= last
        else {
            throw ValueSyntaxError("\(quoted(text)) is not a range of HTTP statuses", hint: "write 200-299, or 200")
        }
        return first...last
    } render: {
        $0.count == 1 ? String($0.lowerBound) : "\($0.lowerBound)-\($0.upperBound)"
    }
}

/// One entry of a route's `retry.on`.
enum RetryTrigger: Hashable, Sendable {
    case condition(RetryConditions)
    case grpc(GRPCStatus)
    case http(Int)

    /// In the order in which they are written.
    static let conditions: [(word: String, condition: RetryConditions)] = [
        ("connect_failure", .connectFailure), ("reset", .reset), ("timeout", .timeout),
    ]
}

extension RetryPolicy {
    /// What is retried, in the order in which it is written.
    var triggers: [RetryTrigger] {
        get {
            RetryTrigger.conditions.filter { conditions.contains($0.condition) }.map { .condition($0.condition) }
                + grpcStatuses.sorted { $0.rawValue < $1.rawValue }.map { .grpc($0) }
                + httpStatuses.sorted().map { .http($0) }
        }
        set {
            (conditions, grpcStatuses, httpStatuses) = ([], [], [])
            for trigger in newValue {
                switch trigger {
                case .condition(let condition): conditions.formUnion(condition)
                case .grpc(let status): grpcStatuses.insert(status)
                case .http(let status): httpStatuses.insert(status)
                }
            }
        }
    }
}

extension ValueSyntax<RetryTrigger> {
    /// `connect_failure`, `reset`, `timeout`, a gRPC status, or an HTTP status from 400.
    static let retryTrigger = ValueSyntax("a status or a way to fail") { (text) throws(ValueSyntaxError) in
        if let condition = RetryTrigger.conditions.first(where: { $0.word == text })?.condition {
            return .condition(condition)
        }
        if GRPCStatus(word: text) != nil { return .grpc(try ValueSyntax<GRPCStatus>.grpcFailure.parse(text)) }
        if Int(text) ?? 0 > 16 { return .http(try ValueSyntax<Int>.httpStatus(400...599).parse(text)) }
        let hint = hintForStatus(text, orOneOf: RetryTrigger.conditions.map(\.word))
        throw ValueSyntaxError("\(quoted(text)) is nothing to retry", hint: hint)
    } render: { trigger in
        switch trigger {
        case .condition(let condition):
            RetryTrigger.conditions.filter { $0.condition == condition }.map(\.word).joined()
        case .grpc(let status): status.word
        case .http(let status): String(status)
        }
    }
}

extension ValueSyntax<FaultPolicy.Abort> {
    /// A gRPC status by its name, or an HTTP status.
    static let faultAbort = ValueSyntax("a status") { (text) throws(ValueSyntaxError) in
        if GRPCStatus(word: text) != nil { return .grpc(try ValueSyntax<GRPCStatus>.grpcFailure.parse(text)) }
        if Int(text) ?? 0 > 16 { return .http(try ValueSyntax<Int>.httpStatus(400...599).parse(text)) }
        throw ValueSyntaxError("\(quoted(text)) is not a status", hint: hintForStatus(text))
    } render: { abort in
        switch abort {
        case .grpc(let status): status.word
        case .http(let status): String(status)
        }
    }
}

/// What may have been meant by a text that is no gRPC status.
/// - Parameter others: words that would have been right too.
private func hintForStatus(_ text: String, orOneOf others: [String] = []) -> String {
    if let number = Int(text), let status = GRPCStatus(rawValue: number) { return "write \(status.word)" }
    let words = others + GRPCStatus.allCases.map(\.word)
    return Suggestion.nearest(to: text, among: words).map { "did you mean '\($0)'?" }
        ?? "write a gRPC status like unavailable"
}
