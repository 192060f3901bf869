import Policy
import TestSupport
import Testing

@testable import Control

/// What is refused before a key is looked at.
@Suite("The text of the configuration", .timeLimit(.minutes(1)))
struct ConfigurationSourceTests {
    @Test(
        "syntax errors have their place",
        arguments: [
            ("", ["1:1: the file is empty"]), ("# nothing\n", ["1:1: the file is empty"]),
            ("---\n", ["1:1: the file is empty"]),
            ("- a\n", ["1:1: expected a mapping, found a list (a configuration begins with keys like 'listeners:')"]),
            (
                "hello",
                ["1:1: expected a mapping, found a single value (a configuration begins with keys like 'listeners:')"]
            ),
            ("a: 1\n---\nb: 2\n", ["2:1: a second YAML document begins here (a file holds one document)"]),
            (
                "a: [1, 2\nb: 3\n",
                [
                    """
                    2:2: YAML syntax: did not find expected ',' or ']' while parsing a flow sequence that \
                    began on line 1
                    """
                ]
            ),
            (
                "a:\n\tb: 1\n",
                [
                    """
                    2:1: YAML syntax: found character that cannot start any token while scanning for the \
                    next token (indent with spaces: YAML allows no tabs there)
                    """
                ]
            ),
            (
                "a: @b\n",
                [
                    """
                    1:4: YAML syntax: found character that cannot start any token while scanning for the \
                    next token (quote values that begin with '@')
                    """
                ]
            ),
            (
                "a: b: c\n",
                ["1:5: YAML syntax: mapping values are not allowed in this context (quote values that contain ': ')"]
            ),
            (
                "a: [${B}]\n",
                [
                    """
                    1:6: YAML syntax: did not find expected ',' or ']' while parsing a flow sequence (quote \
                    values with ${…} inside [ ] and { })
                    """
                ]
            ),
            (
                "a: \"b\n",
                ["1:6: YAML syntax: found unexpected end of stream while scanning a quoted scalar that began on line 1"]
            ),
            (
                "a: [{b: :1}]\n",
                [
                    """
                    1:9: YAML syntax: did not find expected node content while parsing a flow node (quote \
                    values that begin with ':' inside [ ] and { })
                    """
                ]
            ),
            (
                "? a\n: b\n",
                ["2:1: YAML syntax: did not find expected <document start> (keys introduced by '?' are not supported)"]
            ),
        ])
    func syntax(text: String, expected: [String]) {
        #expect(problems(text) == expected)
    }

    @Test(
        "characters that YAML does not allow have their place",
        arguments: [
            ("a: \u{1B}[31m", "1:4: control character U+001B is not allowed"),
            ("a: 1\nb:\u{0}", "2:3: control character U+0000 is not allowed"),
            ("a: 1\r\nb: \u{7F}", "2:4: control character U+007F is not allowed"),
            ("é: \u{F0000}", "1:4: character U+F0000 is not allowed here"),
            ("a: \u{FEFF}", "1:4: a byte order mark may only be the first character of the file"),
        ])
    func characters(text: String, expected: String) {
        #expect(problems(text) == [expected])
    }

    @Test("a byte order mark at the beginning and CR LF change nothing")
    func windowsFile() throws {
        let text = "\u{FEFF}" + withTopLevel("workers: 2").split(separator: "\n").joined(separator: "\r\n") + "\r\n"
        #expect(try configuration(text) == configuration(withTopLevel("workers: 2")))
        #expect(problems("\u{FEFF}x: 1\r\ny: 2\r\n").contains { $0.hasPrefix("2:1: unknown key 'y'") })
    }

    @Test("bytes that are not UTF-8 have their place")
    func invalidUTF8() {
        let bytes = Array("a: 1\nbü: ".utf8) + [0xC3, 0x28]
        guard case .failure(let error) = ConfigurationLoader.load(bytes: bytes, file: "f") else {
            Issue.record("loaded")
            return
        }
        #expect(error.rendered(color: false) == "f:2:5: error: the file is not UTF-8 here\nbü: \u{FFFD}(\n    ^")
    }

    @Test("more than 1 MiB is refused, from a file without reading on")
    func tooLarge() {
        let message = "the file is larger than 1 MiB, the most that is read"
        #expect(problems(String(repeating: "#", count: (1 << 20) + 1)) == [message])
        guard case .failure(let error) = ConfigurationLoader.load(path: "/dev/zero", environment: [:]) else {
            Issue.record("loaded")
            return
        }
        #expect(error.diagnostics.map(\.message) == [message])
    }

    @Test(
        "a file that cannot be read says why",
        arguments: [
            ("/nonexistent/ekiden.yaml", "the file cannot be read: No such file or directory"),
            ("/", "the file cannot be read: Is a directory"), ("", "this is not a path"),
        ])
    func unreadable(path: String, message: String) {
        guard case .failure(let error) = ConfigurationLoader.load(path: path, environment: [:]) else {
            Issue.record("loaded")
            return
        }
        #expect(error.diagnostics == [Diagnostic(origin: path, message: message)])
    }

    @Test("every duplicate key is told at its second place, with everything else that is wrong")
    func duplicates() {
        let found = problems(
            "workers: 1\nworkers: 2\ndrain: {delay: 1s, \"delay\": 2s}\nx: 1\nclusters: {a: {}, a: {}}\n")
        #expect(found.contains("2:1: duplicate key 'workers' (first defined on line 1)"))
        #expect(found.contains("3:20: duplicate key 'delay' (first defined on line 3)"))
        #expect(
            found.contains(
                """
                4:1: unknown key 'x' at the top level (expected workers, admin, listeners, routes, \
                clusters, dns, drain, overload)
                """
            ))
        #expect(found.contains("5:19: duplicate key 'a' (first defined on line 5)"))
        #expect(found.allSatisfy { !$0.unicodeScalars.contains { SourceText.reserved.contains($0.value) } })
    }

    @Test("duplicates without number are refused in reasonable time")
    func manyDuplicates() {
        let found = problems(String(repeating: "a: 1\n", count: 20_000))
        #expect(found.count == YAMLComposer.maxDuplicates + 1)
        #expect(found.first?.hasPrefix("1:1: duplicate key") == true)
        #expect(problems("? : 1\n\"\": 1\n\"\": 2\n").isEmpty == false)
    }

    @Test("an alias stands for the whole value of its anchor")
    func aliases() throws {
        let text = """
            listeners:
              - {listen: 127.0.0.1:1, limits: &strict {max_header_bytes: 8KiB}}
              - {listen: 127.0.0.1:2, limits: *strict}
            routes: [{cluster: &name users}]
            clusters:
              users: {discover: dns://u:1, limits: *strict}
            """
        let loaded = try configuration(text)
        #expect(loaded.listeners.map(\.limits.maxHeaderBytes) == [8_192, 8_192])
        #expect(loaded.clusters.map(\.settings.limits.maxHeaderBytes) == [8_192])
    }

    @Test("stars and question marks that are no aliases and no keys stay what they are")
    func starsInText() throws {
        let text =
            withTopLevel("").replacing(
                "{cluster: users}", with: "{match: {authority: \"*.local\"}, cluster: users, name: a*?b}")
            + "# *c ?d: *e\n"
        let route = try #require(try configuration(text).routes.first)
        #expect(route.authority == "*.local")
        #expect(route.name == "a*?b")
    }

    @Test(
        "what aliases cannot be is told",
        arguments: [
            ("a: *x\n", "1:4: alias '*x' has no anchor '&x' before it"),
            ("a: &abc 1\nb: *abd\n", "2:4: alias '*abd' has no anchor '&abd' before it (did you mean '*abc'?)"),
            ("a: &x [*x]\n", "1:8: alias '*x' has no anchor '&x' before it"),
            ("a: &x 1\n*x : 2\n", "2:1: an alias cannot be a key (quote the key if it begins with '*')"),
            (
                "a: &x {}\nb: {<<: *x}\n",
                "2:5: merge keys ('<<') are not supported (an alias can stand only for a whole value)"
            ),
            ("a: *b.c\n", "1:4: a value that begins with '*' must be quoted"),
            ("{? a : b}\n", "1:2: keys introduced by '?' are not supported (write 'key: value')"),
            ("[a]: b\n", "1:1: a key must be a name, not a collection"),
            ("&x : b\n", "1:1: the key is missing before ':'"),
            ("a: !foo b\n", "1:4: tag '!foo' is not supported"),
            ("a: !!binary b\n", "1:4: tag 'tag:yaml.org,2002:binary' is not supported"),
        ])
    func badAliases(text: String, expected: String) {
        let found = problems(text)
        #expect(found.contains(expected), "\(found)")
    }

    @Test("a bomb of aliases is refused at once")
    func aliasBomb() {
        var text = "a0: &a0 [x, x]\n"
        for level in 1...60 {
            let aliases = [String](repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(aliases)]\n"
        }
        #expect(problems(text) == ["3:50: more than 100 alias expansions"])
        // The same, hidden in keys, which Yams would hash one by one.
        var keys = "a0: &a0 [x, x]\n"
        for level in 1...60 { keys += "a\(level): &a\(level)\n  ? [*a\(level - 1), *a\(level - 1)]\n  : 1\n" }
        #expect(!problems(keys).isEmpty)
    }

    @Test(
        "deep nesting is refused, however it is written",
        arguments: ["[", "{a: ", "[a: ", "- ", "? ", "{? "], [33, 900, 1_100, 20_000])
    func depth(unit: String, count: Int) {
        #expect(problems(String(repeating: unit, count: count)).isEmpty == false)
        let closed =
            String(repeating: unit, count: count)
            + String(repeating: unit == "[" || unit == "[a: " ? "]" : "}", count: count)
        #expect(problems(closed).isEmpty == false)
    }

    @Test("the limit of depth has its place")
    func depthPlace() {
        let text = "a: " + String(repeating: "[", count: 40) + String(repeating: "]", count: 40)
        #expect(problems(text) == ["1:35: nested more than 32 levels deep"])
        #expect(problems(String(repeating: "[", count: 5_000)) == ["1:1: nested more than 32 levels deep"])
    }

    @Test("a long line is shown around the caret, wide characters and tabs keep the caret in place")
    func excerpts() throws {
        let long = String(repeating: "x", count: 500)
        let source = try SourceText(bytes: Array("\(long)\n日本\t: x\n".utf8), file: "f")
        let cut = try #require(source.excerpt(at: SourcePosition(line: 1, column: 250)))
        #expect(cut.line.count == 122)
        #expect(cut.padding.count == 61)
        #expect(source.excerpt(at: SourcePosition(line: 2, column: 6))?.padding == "    \t  ")
        #expect(source.excerpt(at: SourcePosition(line: 9, column: 1)) == nil)
    }

    @Test("a file of 1 MiB is read, or refused, without delay worth mention")
    func size() throws {
        var clusters = ""
        while clusters.utf8.count < (1 << 20) - 200 {
            clusters += "  c\(clusters.utf8.count): {discover: dns://name.local:50051}\n"
        }
        let text = "listeners: [{listen: 127.0.0.1:1}]\nroutes: [{cluster: c0}]\nclusters:\n" + clusters
        #expect(try configuration(text).clusters.count > 15_000)
    }

    @Test("a file that is wrong all over gets its first errors and a line that says so")
    func errorLimit() {
        let clusters = (0..<2_000).map { "  c\($0): {discovr: dns://name.local:50051}\n" }.joined()
        let errors = problems("clusters:\n" + clusters)
        #expect(errors.count == DiagnosticLog.maxErrors + 1)
        #expect(errors.last?.hasSuffix("more errors are not shown") == true)
    }

    @Test("no mutation of a good file makes the loader trap", arguments: 0..<4)
    func mutations(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let good = Array(
            withTopLevel("drain: {delay: &d 1s, timeout: *d}\nworkers: ${W:-2} # *x\ndns: {servers: [\"[::1]:53\"]}")
                .utf8)
        let spice = Array("*&?!|>%@`\"'[]{}:,- \n\t#$~\\\u{0}é".utf8)
        for _ in 0..<300 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...5, using: &random) {
                let index = Int.random(in: bytes.indices, using: &random)
                let byte = spice[Int.random(in: spice.indices, using: &random)]
                if Bool.random(using: &random) { bytes[index] = byte } else { bytes.insert(byte, at: index) }
            }
            if case .failure(let error) = ConfigurationLoader.load(bytes: bytes, file: "f") {
                #expect(error.diagnostics.contains { $0.severity == .error })
                #expect(!error.rendered(color: true).isEmpty)
            }
        }
    }
}
