/// The endpoints that an exchange has been on. Empty in nearly every exchange, and then it costs nothing.
package struct TriedEndpoints {
    private var endpoints: [Endpoint] = []

    package init() {}

    package var isEmpty: Bool { endpoints.isEmpty }
    package var count: Int { endpoints.count }

    package func contains(_ endpoint: Endpoint) -> Bool {
        endpoints.contains { $0 === endpoint }
    }

    package mutating func insert(_ endpoint: Endpoint) {
        endpoints.append(endpoint)
    }

    /// Forgets all but the one that was tried last.
    package mutating func keepLast() {
        if endpoints.count > 1 { endpoints.removeSubrange(..<(endpoints.count - 1)) }
    }

    package mutating func removeAll() {
        if !endpoints.isEmpty { endpoints.removeAll(keepingCapacity: true) }
    }
}
