#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A Swift file of the package, as the rules see it. Works on bytes: the tests are built without optimization.
struct SourceFile: Sendable {
    /// Relative to the package: `Sources/HTTP2/ErrorCode.swift`.
    let path: String
    let lines: [String]
    /// The lines without comments, as UTF-8. Good enough for words that no string holds.
    let code: [[UInt8]]
    /// The modules that the file imports.
    let imports: [String]

    init(path: String, text: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        code = lines.map { line in
            let bytes = Array(line.utf8)
            return Self.offset(of: Array("//".utf8), in: bytes, from: 0).map { Array(bytes[..<$0]) } ?? bytes
        }
        imports = code.compactMap(Self.importedModule)
    }

    /// The name without folders.
    var name: String { path.split(separator: "/").last.map(String.init) ?? path }

    /// `path:line` of the lines of code that hold this word; what stands around it is no letter, digit or underscore.
    /// After a word that ends in `_` anything may follow.
    func places(of word: String) -> [String] {
        places { Self.holds($0, Array(word.utf8), asBeginning: word.hasSuffix("_")) }
    }

    /// The same for all words that begin so.
    func places(ofWordsFrom beginning: String) -> [String] {
        places { Self.holds($0, Array(beginning.utf8), asBeginning: true) }
    }

    private func places(where isMatch: ([UInt8]) -> Bool) -> [String] {
        code.indices.filter { isMatch(code[$0]) }.map { "\(path):\($0 + 1)" }
    }

    static func holds(_ line: [UInt8], _ word: [UInt8], asBeginning: Bool = false) -> Bool {
        var start = 0
        while let found = offset(of: word, in: line, from: start) {
            let end = found + word.count
            let isInside = found > 0 && isWordByte(line[found - 1]) && isWordByte(word[0])
            let goesOn = end < line.count && isWordByte(line[end]) && isWordByte(line[end - 1])
            if !isInside, asBeginning || !goesOn { return true }
            start = found + 1
        }
        return false
    }

    private static func importedModule(_ line: [UInt8]) -> String? {
        let words = line.split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
        guard let keyword = words.firstIndex(of: "import"), keyword + 1 < words.count else { return nil }
        let modifiers: Set = ["package", "public", "internal", "private", "@testable", "@preconcurrency"]
        guard words[..<keyword].allSatisfy(modifiers.contains) else { return nil }
        // `import struct Module.Type`
        let kinds: Set = ["struct", "class", "enum", "protocol", "func", "var", "typealias"]
        let name = kinds.contains(words[keyword + 1]) ? words.dropFirst(keyword + 2).first : words[keyword + 1]
        return name?.split(separator: ".").first.map(String.init)
    }

    private static func offset(of word: [UInt8], in line: [UInt8], from start: Int) -> Int? {
        var offset = start
        while offset + word.count <= line.count {
            if line[offset] == word[0], line[offset..<offset + word.count].elementsEqual(word) { return offset }
            offset += 1
        }
        return nil
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default:
            false
        }
    }
}

/// The files of the package.
enum Package {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    private static let everything = Result { try read("Sources") + read("Tests") }

    /// All Swift files under a folder of the package, generated ones aside: their rules are their generator's.
    static func files(under folder: String) throws -> [SourceFile] {
        try everything.get().filter { $0.path.hasPrefix("\(folder)/") }
    }

    private static func read(_ folder: String) throws -> [SourceFile] {
        let base = root.path()
        return try FileManager.default.subpathsOfDirectory(atPath: base + folder).sorted()
            .filter { $0.hasSuffix(".swift") && !$0.hasSuffix(".pb.swift") }
            .map { name in
                let path = "\(folder)/\(name)"
                return SourceFile(path: path, text: try String(contentsOfFile: base + path, encoding: .utf8))
            }
    }
}
