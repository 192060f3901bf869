import Foundation

/// Where the programs are that the tests start.
enum Programs {
    /// The top of the repository.
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static let peers = root.appendingPathComponent("Tests/EndToEndTests/peers")

    /// `$EKIDEN_BINARY`, else the debug build beside these tests.
    static func ekiden() throws -> URL {
        let named = ProcessInfo.processInfo.environment["EKIDEN_BINARY"].map { URL(fileURLWithPath: $0) }
        let binary = named ?? root.appendingPathComponent(".build/debug/ekiden")
        guard FileManager.default.isExecutableFile(atPath: binary.path) else {
            throw HarnessError("\(binary.path) is missing: run 'swift build' (or 'make test'), or set EKIDEN_BINARY")
        }
        return binary
    }

    /// `$EKIDEN_PYTHON`, else the one that `make test` set up, else the system's.
    static func python() throws -> URL {
        if let named = ProcessInfo.processInfo.environment["EKIDEN_PYTHON"] { return URL(fileURLWithPath: named) }
        let prepared = root.appendingPathComponent(".venv/bin/python")
        if FileManager.default.isExecutableFile(atPath: prepared.path) { return prepared }
        return try onPath("python3", package: "python3")
    }

    static func ruby() throws -> URL { try onPath("ruby", package: "ruby-grpc") }

    static func curl() throws -> URL { try onPath("curl", package: "curl") }

    static func dnsmasq() throws -> URL { try onPath("dnsmasq", package: "dnsmasq-base") }

    private static func onPath(_ name: String, package: String) throws -> URL {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        // Where servers are, and not in everybody's PATH.
        for directory in path.split(separator: ":").map(String.init) + ["/usr/sbin"] {
            let candidate = URL(fileURLWithPath: directory).appendingPathComponent(name)
            if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
        }
        throw HarnessError("\(name) is not on PATH: apt-get install \(package) (make test does)")
    }
}
