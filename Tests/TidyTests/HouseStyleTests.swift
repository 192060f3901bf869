import Testing

/// What a reviewer should not have to say.
@Suite("House style")
struct HouseStyleTests {
    // MARK: Sizes

    private static let linesMax = 500
    /// Files that may be longer, and why.
    private static let longFiles: [(path: String, reason: String)] = []

    @Test("a file has one reason to exist and at most five hundred lines; exceptions are needed and explained")
    func fileSizes() throws {
        var long: Set<String> = []
        for file in try Package.files(under: "Sources") + Package.files(under: "Tests")
        where file.lines.count > Self.linesMax {
            long.insert(file.path)
        }
        #expect(long == Set(Self.longFiles.map(\.path)))
    }

    private static let columnsMax = 120

    private func tooWide(_ file: SourceFile) -> [String] {
        file.lines.indices.filter { file.lines[$0].count > Self.columnsMax }.map { "\(file.path):\($0 + 1)" }
    }

    @Test("tests have at most a hundred and twenty columns")
    func columnsOfTests() throws {
        for folder in ["HTTP2Tests", "PolicyTests", "DataPlaneTests", "TidyTests"] {
            #expect(try Package.files(under: "Tests/\(folder)").flatMap(tooWide) == [])
        }
    }

    @Test("sources have at most a hundred and twenty columns")
    func columnsOfSources() throws {
        let wide = try Package.files(under: "Sources").flatMap(tooWide)
        #expect(wide == [])
    }

    // MARK: Words

    /// Words that stand in no source, each with its reason. Here they are what is looked for, not what is done.
    private static let banned: [(word: String, reason: String)] = [
        (
            "fatalError(",
            "ends every stream of the process; input must never do that, and what is impossible needs no message"
        ),
        ("try!", "the same, in disguise"),
        ("as!", "the same, in disguise"),
        ("Thread.sleep", "stops an event loop and everybody on it"),
        ("usleep(", "stops an event loop and everybody on it"),
        ("Date()", "the wall clock jumps; time is monotonic and handed in"),
        ("print(", "the process writes through its log or a terminal of its own"),
        ("FIXME", "is mended, or an issue"),
        ("XXX", "says nothing"),
    ]

    @Test("banned words stand in no source", arguments: banned)
    func bannedWords(word: String, reason: String) throws {
        let places = try Package.files(under: "Sources").flatMap { $0.places(of: word) }
            .filter { !Self.isAllowed(word, $0) }
        #expect(places == [], "\(word): \(reason)")
    }

    /// Where a banned word is at home.
    private static func isAllowed(_ word: String, _ place: String) -> Bool {
        switch word {
        // A verb's result goes to standard output.
        case "print(": place.hasPrefix("Sources/ekiden/")
        // The one door to the time of day, for timelines.
        case "Date()": place.hasPrefix("Sources/Control/Discovery/WallClock.swift")
        default: false
        }
    }

    // This file looks for the word and is left out of the search.
    @Test("something that is to be done says why it is not done")
    func reasonsOfUndoneWork() throws {
        for file in try Package.files(under: "Sources") + Package.files(under: "Tests")
        where file.name != "HouseStyleTests.swift" {
            for (index, line) in file.lines.enumerated() where SourceFile.holds(Array(line.utf8), Array("TODO".utf8)) {
                let rest = line.split(separator: "TODO", maxSplits: 1).last ?? ""
                #expect(rest.hasPrefix(": ") && rest.count > 12, "\(file.path):\(index + 1)")
            }
        }
    }

    // MARK: Names

    private static let junkDrawers = ["util", "helper", "manager", "misc", "common", "extensions"]

    @Test("no file is a junk drawer")
    func names() throws {
        for file in try Package.files(under: "Sources") + Package.files(under: "Tests") {
            #expect(!Self.junkDrawers.contains { file.name.lowercased().contains($0) }, "\(file.path)")
        }
    }

    // MARK: The rules themselves

    @Test("the rules see what they look for")
    func rules() {
        // A text with what the rules forbid, to see that they find it, and find no more.
        let file = SourceFile(
            path: "Sources/X/Y.swift",
            text: """
                import Plain // import Comment
                package import Two.Three
                @testable import Four
                import struct Five.Six
                // import Seven
                let important = 1
                    fatalError("x")
                    notAfatalError("x")
                let x = try! f() // fatalError(
                nghttp2_session_del(raw)
                """)
        #expect(file.imports == ["Plain", "Two", "Four", "Five"])
        #expect(file.places(of: "fatalError(") == ["Sources/X/Y.swift:7"])
        #expect(file.places(of: "try!") == ["Sources/X/Y.swift:9"])
        #expect(file.places(of: "nghttp2_") == ["Sources/X/Y.swift:10"])
        #expect(file.places(of: "import") == (1...4).map { "Sources/X/Y.swift:\($0)" })
        #expect(file.name == "Y.swift")
    }
}
