/// A few unary calls, each with all that its caller hears.
enum CallList {
    struct Answer: Decodable, Sendable {
        /// The status's name.
        var status: String
        var details: String
        /// Who answered; empty when nobody did.
        var name: String
        var seconds: Double
        var trailers: [String: String]
    }

    /// Makes the calls, in the order of the answers.
    /// - Parameter arguments: of `call_list.py`.
    static func make(
        _ ekiden: EkidenProcess, _ count: Int = 1, _ arguments: [String] = []
    ) async throws -> [Answer] {
        let peer = try PeerProcess.python(
            "call_list.py", ["--target", ekiden.target, "--count", "\(count)"] + arguments)
        do {
            let answers = try await peer.event("list").answers ?? []
            await peer.child.end()
            return answers
        } catch {
            await peer.child.end()
            throw error
        }
    }
}

extension [CallList.Answer] {
    /// How often each status came.
    var statuses: [String: Int] { Dictionary(map { ($0.status, 1) }, uniquingKeysWith: +) }
}
