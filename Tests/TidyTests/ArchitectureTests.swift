import Testing

/// What the design promises about who knows whom. `Package.swift` keeps most of it; this says it in one place and also
/// sees what a transitive dependency would let through.
@Suite("Architecture")
struct ArchitectureTests {
    private static let libc: Set = ["Glibc", "Musl", "Darwin"]

    /// Which modules a target may import.
    private static let allowedImports: [(target: String, modules: Set<String>)] = [
        // Protocol: no sockets, no clock, no locks.
        ("HTTP2", libc.union(["CNghttp2", "NIOCore"])),
        ("DNS", libc.union(["Policy"])),
        // Decisions: values and atomics.
        ("Policy", ["Synchronization"]),
        ("Telemetry", libc.union(["Policy", "Synchronization"])),
        (
            "DataPlane",
            libc.union([
                "HTTP2", "Policy", "Telemetry", "NIOCore", "NIOPosix", "Logging", "Synchronization", "Dispatch",
            ])
        ),
        (
            "Control",
            libc.union([
                "CCares", "DNS", "HTTP2", "Policy", "Telemetry", "Synchronization", "NIOCore", "NIOPosix", "NIOHTTP1",
                "Logging", "Yams", "Hummingbird", "HummingbirdCore", "ServiceLifecycle", "FoundationEssentials",
            ])
        ),
    ]

    @Test("a target imports what its layer may know and nothing else", arguments: allowedImports)
    func imports(target: String, modules: Set<String>) throws {
        let files = try Package.files(under: "Sources/\(target)")
        #expect(!files.isEmpty)
        for file in files {
            let strangers = Set(file.imports).subtracting(modules)
            #expect(strangers.isEmpty, "\(file.path) imports \(strangers.sorted().joined(separator: ", "))")
        }
    }

    @Test("the data plane and the control plane do not know each other")
    func planes() throws {
        for (target, stranger) in [("DataPlane", "Control"), ("Control", "DataPlane")] {
            for file in try Package.files(under: "Sources/\(target)") {
                #expect(!file.imports.contains(stranger), "\(file.path) imports \(stranger)")
            }
        }
    }

    @Test("every target is under these rules, but for the program that wires them")
    func completeness() throws {
        let targets = Set(try Package.files(under: "Sources").map { String($0.path.split(separator: "/")[1]) })
        #expect(targets == Set(Self.allowedImports.map(\.target)).union(["ekiden"]))
    }

    @Test("on the control side only health checks speak HTTP/2")
    func protocolOnTheControlSide() throws {
        for file in try Package.files(under: "Sources/Control") where !file.path.contains("/Control/Health/") {
            #expect(!file.imports.contains("HTTP2"), "\(file.path)")
        }
    }

    /// Words of C libraries, and the doors behind which they stay.
    private static let doors: [(word: String, door: String)] = [
        ("nghttp2_", "Sources/HTTP2/"),
        ("CNghttp2", "Sources/HTTP2/"),
        ("ares_", "Sources/Control/Discovery/Query/AresChannel.swift"),
        ("CCares", "Sources/Control/Discovery/Query/AresChannel.swift"),
    ]

    @Test("a C library is spoken to behind one door", arguments: doors)
    func libraries(word: String, door: String) throws {
        let files = try Package.files(under: "Sources")
        #expect(files.contains { $0.path.hasPrefix(door) && !$0.places(of: word).isEmpty })
        for file in files where !file.path.hasPrefix(door) {
            #expect(file.places(of: word) == [])
        }
    }

    /// Where memory is handled by hand, and why.
    private static let handsOnMemory: [(path: String, reason: String)] = [
        ("Sources/HTTP2/", "libnghttp2 works on pointers"),
        ("Sources/Telemetry/CounterBlock.swift", "a row of atomics, written by one thread and read by others"),
        ("Sources/Control/Discovery/Query/AresChannel.swift", "c-ares works on pointers"),
        ("Sources/DataPlane/Worker/Borrowed.swift", "references on the path of a request that are not counted"),
        ("Sources/DataPlane/Exchange/RequestFacts.swift", "reads header values where the decoder left them"),
        ("Sources/DataPlane/Exchange/Exchange+Admission.swift", "reads header values where the decoder left them"),
        ("Sources/DataPlane/Admission/", "reads header values where the decoder left them"),
        ("Sources/ekiden/Demo/DemoScreen.swift", "write(2)"),
    ]

    @Test("Unsafe and Unmanaged stay behind named doors, and no door is without need")
    func unsafeDoors() throws {
        var needed: Set<String> = []
        for file in try Package.files(under: "Sources") {
            let places = file.places(ofWordsFrom: "Unsafe") + file.places(of: "Unmanaged")
            if places.isEmpty { continue }
            let door = Self.handsOnMemory.first { file.path.hasPrefix($0.path) }
            #expect(door != nil, "\(places)")
            if let door { needed.insert(door.path) }
        }
        #expect(needed == Set(Self.handsOnMemory.map(\.path)))
    }

    /// Where the compiler's check of threads is switched off, and why.
    private static let uncheckedFiles: [(path: String, reason: String)] = [
        ("Sources/Telemetry/CounterBlock.swift", "memory that is touched only through atomics"),
        ("Sources/HTTP2/Session/Callbacks.swift", "a table that is written once and then only read"),
    ]

    @Test("the check of threads is switched off only where it is said why")
    func uncheckedDoors() throws {
        var found: Set<String> = []
        for file in try Package.files(under: "Sources") {
            let places = file.places(of: "@unchecked") + file.places(of: "nonisolated(unsafe)")
            if !places.isEmpty { found.insert(file.path) }
        }
        #expect(found == Set(Self.uncheckedFiles.map(\.path)))
    }
}
