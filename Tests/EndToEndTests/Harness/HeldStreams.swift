/// Streams that stay open until their task ends them, each followed by a new one.
final class HeldStreams: Sendable {
    let peer: PeerProcess

    /// Returns when all are open.
    static func start(_ ekiden: EkidenProcess, _ count: Int, _ processes: Processes) async throws -> HeldStreams {
        let peer = try PeerProcess.python("held_streams.py", ["--target", ekiden.target, "--count", "\(count)"])
        processes.adopt(peer.child)
        try await peer.event("opened")
        return HeldStreams(peer)
    }

    private init(_ peer: PeerProcess) {
        self.peer = peer
    }

    /// Cancels those that are open.
    /// - Returns: whose each one that ended before was, and its status as `CODE: details`.
    func stop() async throws -> [(task: String, status: String)] {
        try peer.command("stop")
        try await peer.event("stopped")
        return peer.events.filter { $0.event == "ended" }.map { ($0.name ?? "", $0.message ?? "") }
    }
}
