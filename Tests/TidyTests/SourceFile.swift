#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A Swift file of the package, as the rules see it.
struct SourceFile {
    /// Relative to the package: `Sources/HTTP2/ErrorCode.swift`.
    let path: String
    let lines: [Substring]

    init(path: String, text: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// The name without folders.
    var name: String { path.split(separator: "/").last.map(String.init) ?? path }

    /// Lines without comments. Good enough for words that no string holds.
    var code: [Substring] {
        lines.map { line in
            guard let comment = line.firstRange(of: "//") else { return line }
            return line[..<comment.lowerBound]
        }
    }

    /// The modules that the file imports.
    var imports: [String] {
        code.compactMap { line in
            let words = line.split(separator: " ")
            guard let keyword = words.firstIndex(of: "import"), keyword + 1 < words.count else { return nil }
            let modifiers: Set<Substring> = [
                "package", "public", "internal", "private", "@testable", "@preconcurrency",
            ]
            guard words[..<keyword].allSatisfy(modifiers.contains) else { return nil }
            // `import struct Module.Type`
            let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "typealias"]
            let module = kinds.contains(words[keyword + 1]) ? words.dropFirst(keyword + 2).first : words[keyword + 1]
            return module?.split(separator: ".").first.map(String.init)
        }
    }

    /// `path:line` of the lines of code that hold this word; what stands around it is no letter, digit or underscore.
    func places(of word: String) -> [String] {
        code.indices.filter { Self.holds(code[$0], word) }.map { "\(path):\($0 + 1)" }
    }

    static func holds(_ line: Substring, _ word: String) -> Bool {
        var rest = line
        while let found = rest.firstRange(of: word) {
            let isInWord =
                found.lowerBound > line.startIndex && isWordCharacter(line[line.index(before: found.lowerBound)])
            let opens = word.last.map { !isWordCharacter($0) || $0 == "_" } ?? true
            let goesOn = !opens && found.upperBound < line.endIndex && isWordCharacter(line[found.upperBound])
            if !isInWord, !goesOn { return true }
            rest = rest[found.upperBound...]
        }
        return false
    }

    private static func isWordCharacter(_ character: Character) -> Bool {
        character.isLetter || character.isNumber || character == "_"
    }
}

/// The files of the package.
enum Package {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// All Swift files under a folder of the package, generated ones aside: their rules are their generator's.
    static func files(under folder: String) throws -> [SourceFile] {
        let base = root.path()
        var files: [SourceFile] = []
        for name in try FileManager.default.subpathsOfDirectory(atPath: base + folder).sorted()
        where name.hasSuffix(".swift") && !name.hasSuffix(".pb.swift") {
            let path = "\(folder)/\(name)"
            files.append(SourceFile(path: path, text: try String(contentsOfFile: base + path, encoding: .utf8)))
        }
        return files
    }
}
