import Foundation
import Testing

extension EndToEnd {
    /// Endpoints from a file that somebody edits.
    @Suite("File source")
    struct FileSource {
        @Test("A file is edited, replaced, broken and removed under load: what it last said well counts, no call fails")
        func edited() async throws {
            let tasks = Fleet.addresses(1...4)
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("ekiden-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let file = folder.appendingPathComponent("tasks.yaml")
            try await Processes.scope { processes in
                let fleet = try await processes.fleet(tasks)
                try Data(Self.text(tasks[..<2]).utf8).write(to: file)
                let ekiden = try await processes.ekiden(
                    ["tasks": "port: \(fleet.port), discover: \"file://\(file.path)\""], servers: [])
                try await ekiden.awaitHosts(Array(tasks[..<2]), in: "tasks", within: .seconds(5))
                let load = try await processes.load(ekiden)

                // In place, as an editor or `echo >>` does.
                let handle = try FileHandle(forWritingTo: file)
                try handle.seekToEnd()
                try handle.write(contentsOf: Data("  - \(tasks[2]):\(fleet.port)\n".utf8))
                try handle.close()
                try await ekiden.awaitHosts(Array(tasks[..<3]), in: "tasks", within: .seconds(6))

                // As a whole, by a rename.
                try Data(Self.text(tasks[1...]).utf8).write(to: file, options: .atomic)
                try await ekiden.awaitHosts(Array(tasks[1...]), in: "tasks", within: .seconds(6))
                try await load.take(for: .milliseconds(200))
                let even = try await load.take(TestScale.rate)
                await ekiden.expect(even.isEven(over: Array(tasks[1...])), of: "tasks", even)

                for broken in ["endpoints: [", "endpoints:\n  - tasks.local:1\n", ""] {
                    try Data(broken.utf8).write(to: file, options: .atomic)
                    try await load.take(for: .seconds(2))
                    try await ekiden.awaitHosts(Array(tasks[1...]), in: "tasks", within: .zero)
                }
                try FileManager.default.removeItem(at: file)
                try await load.take(for: .seconds(2))
                let reading = try await ekiden.discovery("tasks")
                await ekiden.expect(reading.discovery.first?.failing == true, of: "tasks")
                await ekiden.expect(reading.hosts == Set(tasks[1...]), of: "tasks")

                try Data(Self.text(tasks[...]).utf8).write(to: file, options: .atomic)
                try await ekiden.awaitHosts(tasks, in: "tasks", within: .seconds(6))
                let log = try await load.stop()
                await ekiden.expect(log.failures.isEmpty, of: "tasks", log)
                try await ekiden.checkSettled()
            }
        }

        private static func text(_ hosts: ArraySlice<String>) -> String {
            "endpoints:\n" + hosts.map { "  - \($0)\n" }.joined()
        }
    }
}
