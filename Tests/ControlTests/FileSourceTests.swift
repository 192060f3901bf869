import FoundationEssentials
import Policy
import Synchronization
import Testing

@testable import Control

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

@Suite("A file of endpoints, watched", .timeLimit(.minutes(1)))
struct FileSourceTests {
    private let clock = ManualClock()

    /// A folder of its own, a source on `tasks.yaml` in it, and what the source has told.
    private final class Stage: Sendable {
        let folder: String
        let path: String
        let source: FileSource
        private let clock: ManualClock
        private let told = Mutex<[SourceReport]>([])

        init(_ clock: ManualClock, emptyAfter: Duration? = nil) throws {
            let name = "ekiden-file-source-\(UInt64.random(in: 0 ... .max))"
            folder = FileManager.default.temporaryDirectory.appending(path: name).path()
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            path = folder + "/tasks.yaml"
            self.clock = clock
            source = FileSource(path: path, emptyAfter: emptyAfter, clock: DiscoveryClock(clock))
        }

        var reports: [SourceReport] { told.withLock { $0 } }
        var last: SourceReport { reports.last ?? SourceReport() }

        /// In place, as an editor does that truncates and writes.
        func write(_ text: String, to name: String = "tasks.yaml") throws {
            try Data(text.utf8).write(to: URL(filePath: "\(folder)/\(name)"))
        }

        /// `rename(2)`, which replaces its target in one step.
        func move(_ name: String, to target: String) throws {
            try #require(rename("\(folder)/\(name)", "\(folder)/\(target)") == 0)
        }

        func remove() throws {
            try FileManager.default.removeItem(atPath: path)
        }

        func link(_ name: String, to target: String) throws {
            try FileManager.default.createSymbolicLink(atPath: "\(folder)/\(name)", withDestinationPath: target)
        }

        /// Turns the clock until the look that is due next has ended.
        func look(_ times: Int = 1) async {
            for _ in 0..<times {
                clock.advance(by: await clock.nextSleep())
                _ = await clock.nextSleep()
            }
        }

        /// Runs `body` once the first look has ended.
        func run(_ body: () async throws -> Void) async throws {
            let source = source
            let task = Task { await source.run { [self] report in told.withLock { $0.append(report) } } }
            _ = await clock.nextSleep()
            let outcome: Result<Void, any Error>
            do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
            task.cancel()
            await task.value
            try? FileManager.default.removeItem(atPath: folder)
            try outcome.get()
        }
    }

    private func hosts(_ report: SourceReport) -> [String] { report.endpoints.map(\.host) }

    private func events(_ stage: Stage, _ report: SourceReport) -> [String] {
        report.events.map { "\($0.kind.rawValue) " + $0.text.replacing(stage.folder + "/", with: "") }
    }

    @Test("the first look reads at once and tells all there is")
    func firstLook() async throws {
        let stage = try Stage(clock)
        try stage.write(
            """
            - 10.0.0.1:50051
            - "[fd00::2]:50051"
            - {address: 10.0.0.3, weight: 5, priority: 2, attributes: {zone: a}}
            """)
        try await stage.run {
            let report = stage.last
            #expect(
                report.endpoints == [
                    DiscoveredEndpoint(host: "10.0.0.1", port: 50_051),
                    DiscoveredEndpoint(host: "fd00::2", port: 50_051),
                    DiscoveredEndpoint(
                        host: "10.0.0.3", traits: EndpointTraits(weight: 5, priority: 2, attributes: ["zone": "a"])),
                ])
            #expect(!report.endpoints.map(\.isConfirmed).contains(false))
            #expect(report.failure == nil)
            #expect(report.coverage == nil)
            #expect(report.ttl == nil)
            #expect(report.lastSuccess == .zero)
            #expect(report.answers == 1)
            #expect(events(stage, report) == ["answer tasks.yaml: 3 endpoints"])
            await stage.look(3)
            #expect(stage.reports.count == 1)
        }
    }

    @Test("an edit is taken once it has looked the same for a second")
    func edit() async throws {
        let stage = try Stage(clock)
        try stage.write("- 10.0.0.1:1\n")
        try await stage.run {
            try stage.write("- 10.0.0.1:1\n- 10.0.0.2:1\n")
            await stage.look()
            #expect(stage.reports.count == 1)
            await stage.look()
            #expect(hosts(stage.last) == ["10.0.0.1", "10.0.0.2"])
            #expect(stage.last.lastSuccess == .seconds(2))
            #expect(stage.last.answers == 2)
            #expect(events(stage, stage.last) == ["answer tasks.yaml: 2 endpoints"])
        }
    }

    @Test("a file that is being written is let alone until the writer is done")
    func halfWritten() async throws {
        let stage = try Stage(clock)
        try stage.write("- 10.0.0.1:1\n- 10.0.0.2:1\n- 10.0.0.3:1\n")
        try await stage.run {
            var text = ""
            for host in 4...9 {
                text += "- 10.0.0.\(host):1\n"
                try stage.write(text)
                await stage.look()
            }
            #expect(stage.reports.count == 1)
            await stage.look()
            #expect(stage.reports.count == 2)
            #expect(stage.last.endpoints.count == 6)
        }
    }

    @Test("a change that is taken back is none")
    func takenBack() async throws {
        let stage = try Stage(clock)
        try stage.write("- 10.0.0.1:1\n", to: "first")
        try stage.write("- 10.0.0.2:1\n", to: "second")
        try stage.link("tasks.yaml", to: "first")
        try await stage.run {
            for target in ["second", "first", "second", "first"] {
                try stage.remove()
                try stage.link("tasks.yaml", to: target)
                await stage.look()
            }
            await stage.look(3)
            #expect(stage.reports.count == 1)
        }
    }

    @Test("a file that is renamed into place is taken, also with the old size")
    func renamed() async throws {
        let stage = try Stage(clock)
        try stage.write("- 10.0.0.1:1\n")
        try await stage.run {
            try stage.write("- 10.0.0.2:1\n", to: "next")
            try stage.move("next", to: "tasks.yaml")
            await stage.look(2)
            #expect(hosts(stage.last) == ["10.0.0.2"])
        }
    }

    @Test("a symbolic link that moves on is followed, as in a config map")
    func symbolicLink() async throws {
        let stage = try Stage(clock)
        for (version, host) in [("..v1", "10.0.0.1"), ("..v2", "10.0.0.2")] {
            try FileManager.default.createDirectory(
                atPath: "\(stage.folder)/\(version)", withIntermediateDirectories: true)
            try stage.write("- \(host):1\n", to: "\(version)/tasks.yaml")
        }
        try stage.link("..data", to: "..v1")
        try stage.link("tasks.yaml", to: "..data/tasks.yaml")
        try await stage.run {
            #expect(hosts(stage.last) == ["10.0.0.1"])
            try stage.link("..next", to: "..v2")
            try stage.move("..next", to: "..data")
            await stage.look(2)
            #expect(hosts(stage.last) == ["10.0.0.2"])
        }
    }

    @Test("a file that vanishes leaves the last good endpoints, is told once, and recovers")
    func vanish() async throws {
        let stage = try Stage(clock)
        try stage.write("- 10.0.0.1:1\n")
        try await stage.run {
            try stage.write("- 10.0.0.1:1\n", to: "same")
            try stage.remove()
            await stage.look(3)
            #expect(stage.reports.count == 2)
            #expect(hosts(stage.last) == ["10.0.0.1"])
            #expect(stage.last.failure == "\(stage.path): the file cannot be read: No such file or directory")
            #expect(stage.last.failures == 1)
            #expect(stage.last.lastSuccess == .zero)
            #expect(
                events(stage, stage.last) == ["failed tasks.yaml: the file cannot be read: No such file or directory"])
            try stage.move("same", to: "tasks.yaml")
            await stage.look(2)
            #expect(stage.reports.count == 3)
            #expect(stage.last.failure == nil)
            #expect(stage.last.lastFailure?.hasSuffix("No such file or directory") == true)
            #expect(events(stage, stage.last) == ["recovered tasks.yaml: good again, 1 endpoint"])
        }
    }

    @Test("the very file that was gone recovers when it is back")
    func back() async throws {
        let stage = try Stage(clock)
        try stage.write("- 10.0.0.1:1\n")
        try await stage.run {
            try stage.move("tasks.yaml", to: "away")
            await stage.look()
            #expect(stage.last.failure != nil)
            try stage.move("away", to: "tasks.yaml")
            await stage.look(2)
            #expect(stage.last.failure == nil)
            #expect(stage.reports.count == 3)
        }
    }

    @Test("a file that is not there at the start is told, and taken when it comes")
    func missingAtStart() async throws {
        let stage = try Stage(clock)
        try await stage.run {
            #expect(stage.reports.count == 1)
            #expect(stage.last.hasOutcome)
            #expect(stage.last.lastSuccess == nil)
            try stage.write("- 10.0.0.1:1\n")
            await stage.look(2)
            #expect(hosts(stage.last) == ["10.0.0.1"])
            #expect(
                events(stage, stage.last) == [
                    "answer tasks.yaml: 1 endpoint", "recovered tasks.yaml: good again, 1 endpoint",
                ])
        }
    }

    @Test(
        "what cannot be used leaves the last good endpoints and says why",
        arguments: [
            (
                "- 10.0.0.1:1\n- nonsense\n- :1\n",
                """
                tasks.yaml:2:3: endpoints[1]: 'nonsense' is not an IP address (names are resolved only in dns:// \
                URLs) (and 1 more)
                """
            ),
            (
                "- 10.0.0.9:1\n- 10.0.0.9:1\n",
                "tasks.yaml:2:3: endpoints[1]: 10.0.0.9:1 is listed twice (first on line 1)"
            ),
            ("\u{0}\u{1}\u{2}", "tasks.yaml:1:1: control character U+0000 is not allowed"),
            ("", "tasks.yaml:1:1: the file is empty"),
            ("endpoints: []", "tasks.yaml: it lists no endpoint"),
            (
                String(repeating: "#", count: EndpointFile.maxBytes + 1),
                "tasks.yaml: the file is larger than 4 MiB, the most that is read"
            ),
        ])
    func bad(text: String, reason: String) async throws {
        let stage = try Stage(clock)
        try stage.write("- 10.0.0.1:50051\n")
        try await stage.run {
            try stage.write(text)
            await stage.look(5)
            #expect(stage.reports.count == 2)
            #expect(hosts(stage.last) == ["10.0.0.1"])
            #expect(stage.last.failure == "\(stage.folder)/\(reason)")
            #expect(events(stage, stage.last) == ["failed \(reason)"])
            try stage.write("- 10.0.0.1:50051\n- 10.0.0.2:50051\n")
            await stage.look(2)
            #expect(hosts(stage.last) == ["10.0.0.1", "10.0.0.2"])
            #expect(stage.last.events.map(\.kind) == [.answer, .recovered])
        }
    }

    @Test("a folder or a pipe in its place is no file; nobody waits for a writer", arguments: [true, false])
    func notAFile(isPipe: Bool) async throws {
        let stage = try Stage(clock)
        if isPipe {
            try #require(mkfifo(stage.path, 0o600) == 0)
        } else {
            try FileManager.default.createDirectory(atPath: stage.path, withIntermediateDirectories: false)
        }
        try await stage.run {
            #expect(stage.last.failure == "\(stage.path): this is not a file")
        }
    }

    @Test("a new reason is a new event, the old one is not told again")
    func reasons() async throws {
        let stage = try Stage(clock)
        try await stage.run {
            try stage.write("[")
            await stage.look(4)
            try stage.remove()
            await stage.look(4)
            #expect(stage.reports.map(\.events.count) == [1, 1, 1])
            #expect(stage.reports.map(\.failures) == [1, 2, 3])
        }
    }

    @Test("an empty list empties the cluster only after the time that says so")
    func emptyAfter() async throws {
        let stage = try Stage(clock, emptyAfter: .seconds(5))
        try stage.write("- 10.0.0.1:1\n")
        try await stage.run {
            try stage.write("[]\n")
            await stage.look(2)
            #expect(stage.last.failure == "\(stage.path): it lists no endpoint")
            await stage.look(4)
            #expect(hosts(stage.last) == ["10.0.0.1"])
            await stage.look()
            #expect(stage.last.endpoints.isEmpty)
            #expect(stage.last.failure == nil)
            #expect(stage.last.lastSuccess == .seconds(7))
            #expect(events(stage, stage.last) == ["answer tasks.yaml: 0 endpoints"])
            await stage.look(3)
            #expect(stage.reports.count == 3)
            try stage.write("[ ]\n")
            await stage.look(2)
            #expect(stage.last.failure == nil)
            #expect(stage.last.events.isEmpty)
        }
    }

    @Test("a list that fills again in time, or a file that vanishes, starts the time anew")
    func emptyAgain() async throws {
        let stage = try Stage(clock, emptyAfter: .seconds(5))
        try stage.write("- 10.0.0.1:1\n")
        try await stage.run {
            try stage.write("[]\n")
            await stage.look(4)
            try stage.remove()
            await stage.look()
            try stage.write("[]\n")
            await stage.look(6)
            #expect(hosts(stage.last) == ["10.0.0.1"])
            await stage.look()
            #expect(stage.last.endpoints.isEmpty)
        }
    }

    @Test("a refresh looks at once, and a thousand of them do not hasten what has to rest")
    func refresh() async throws {
        let stage = try Stage(clock)
        try await stage.run {
            clock.advance(by: .milliseconds(500))
            try stage.write("- 10.0.0.1:1\n")
            stage.source.refreshNow()
            while await clock.nextSleep() < .seconds(1) { await Task.yield() }
            #expect(stage.reports.count == 1)
            for _ in 0..<3 {
                for _ in 0..<1_000 { stage.source.refreshNow() }
                while await clock.nextSleep() > FileSource.minimumGap { await Task.yield() }
                clock.advance(by: await clock.nextSleep())
                while await clock.nextSleep() < .seconds(1) { await Task.yield() }
            }
            // Seen first at 0.5 s; the refreshes took it to 0.8 s.
            #expect(stage.reports.count == 1)
            clock.advance(by: .milliseconds(700))
            stage.source.refreshNow()
            while stage.reports.count < 2 { await Task.yield() }
            #expect(hosts(stage.last) == ["10.0.0.1"])
            #expect(stage.last.lastSuccess == .milliseconds(1_500))
        }
    }
}
