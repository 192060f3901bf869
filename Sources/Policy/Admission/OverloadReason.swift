/// What the process has too much of.
package enum OverloadReason: Sendable, Equatable {
    /// The worker's event loop runs late: nanoseconds.
    case loopLag(Int64)
    /// Exchanges in flight.
    case streams(Int)
    /// Body bytes held between the legs.
    case buffers(Int, limit: Int)
    /// Descriptors in use. Refuses connections, not requests.
    case descriptors(Int, limit: Int)

    /// For people.
    package var text: String {
        switch self {
        case .loopLag(let lag): "its event loop runs \(lag / 1_000_000) ms late"
        case .streams(let count): "\(count) exchanges are in flight"
        case .buffers(let count, let limit):
            "\(Self.percent(count, limit)) % of \(limit) bytes for bodies are in use"
        case .descriptors(let count, let limit): "\(Self.percent(count, limit)) % of \(limit) descriptors are in use"
        }
    }

    private static func percent(_ count: Int, _ limit: Int) -> Int {
        Int((Double(count) / Double(max(limit, 1)) * 100).rounded(.down))
    }
}
