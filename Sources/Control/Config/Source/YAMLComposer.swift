import Yams

/// Turns the text into a tree of ``ConfigNode``s, with every complaint at its place.
///
/// Yams gives up at the first duplicate key, resolves aliases itself (which makes "billion laughs" a matter of hashing
/// keys that stand for billions of nodes) and hashes keys that are collections once per level. So it is shown a text of
/// the same shape in which `*` and `?` are masked (``MaskedText``): to it there are no aliases and no `? key`. On the
/// way back the characters are restored, and a plain scalar that begins with a masked `*` is the alias that it was.
///
/// libyaml itself refuses more than 1,000 levels of nesting, which bounds Yams' recursion.
struct YAMLComposer {
    /// Deepest nesting that a configuration may have.
    static let maxDepth = 32
    /// Alias expansions in one file, those inside other aliases counted each time.
    static let maxAliasExpansions = 100
    /// Duplicate keys after which the file is not read further: each costs another parse.
    static let maxDuplicates = 8
    /// Characters above which the first duplicate ends the reading.
    private static let maxReparsedLength = 131_072

    private let source: SourceText
    private var masked: MaskedText
    private var anchors: [String: ConfigNode] = [:]
    private var aliasExpansions = 0
    /// Set when the rest of the tree is not worth reading.
    private var gaveUp = false

    private init(source: SourceText) {
        self.source = source
        self.masked = MaskedText(source)
    }

    /// The tree of the file's only document.
    /// - Returns: nil when there is none that could be read; the reason is in the log.
    static func compose(_ source: SourceText, log: inout DiagnosticLog) -> ConfigNode? {
        var composer = YAMLComposer(source: source)
        return composer.compose(log: &log)
    }

    private mutating func compose(log: inout DiagnosticLog) -> ConfigNode? {
        let reparses = source.scalars.count > Self.maxReparsedLength ? 0 : Self.maxDuplicates
        for _ in 0...reparses {
            do {
                let parser = try Parser(yaml: masked.text, resolver: .basic)
                // Anchors hang on the parser: it has to outlive the reading of the nodes.
                return try withExtendedLifetime(parser) {
                    guard let root = try parser.singleRoot() else {
                        log.error("the file is empty", at: SourcePosition(line: 1, column: 1))
                        return nil
                    }
                    let node = node(from: root, depth: 1, log: &log)
                    return gaveUp ? nil : node
                }
            } catch YamlError.duplicatedKeysInMapping(_, let context) {
                // The mark is that of the key's first appearance. Hidden there, it lets Yams read on, and the reading
                // of the mapping finds the second appearance, which is the one to complain about.
                let first = SourcePosition(context.mark)
                if masked.hideFirstLetter(at: first, in: source) { continue }
                log.error("duplicate key", at: first, hint: "it appears in this mapping once more")
                return nil
            } catch {
                report(error, log: &log)
                return nil
            }
        }
        // The rest of the duplicates is told when these are gone.
        for first in masked.hidden {
            log.error("duplicate key", at: first, hint: "it appears in this mapping once more")
        }
        return nil
    }
}

// MARK: - Nodes

extension YAMLComposer {
    private mutating func node(from yaml: Node, depth: Int, log: inout DiagnosticLog) -> ConfigNode {
        let position = SourcePosition(yaml.mark)
        var node = ConfigNode(content: .scalar("", isPlain: true), position: position)
        guard !gaveUp else { return node }
        guard depth <= Self.maxDepth else {
            log.error("nested more than \(Self.maxDepth) levels deep", at: position)
            gaveUp = true
            return node
        }
        checkTag(of: yaml, log: &log)
        switch yaml {
        case .scalar(let scalar):
            node = self.node(from: scalar, at: position, log: &log)
        case .sequence(let sequence):
            var elements: [ConfigNode] = []
            for element in sequence {
                elements.append(self.node(from: element, depth: depth + 1, log: &log))
            }
            node.aliasExpansions = elements.reduce(0) { $0 + $1.aliasExpansions }
            node.content = .sequence(elements)
        case .mapping(let mapping):
            let entries = entries(of: mapping, depth: depth, log: &log)
            node.aliasExpansions = entries.reduce(0) { $0 + $1.value.aliasExpansions }
            node.content = .mapping(entries)
        case .alias:
            // Yams makes these only when it encodes.
            log.error("unexpected alias", at: position)
        }
        if let anchor = yaml.anchor { anchors[anchor.rawValue] = node }
        return node
    }

    private mutating func entries(
        of mapping: Node.Mapping, depth: Int, log: inout DiagnosticLog
    ) -> [ConfigNode.Entry] {
        var entries: [ConfigNode.Entry] = []
        var firstLines: [String: Int] = [:]
        for (keyNode, valueNode) in mapping where !gaveUp {
            let value = node(from: valueNode, depth: depth + 1, log: &log)
            guard let key = key(from: keyNode, log: &log) else { continue }
            let position = SourcePosition(keyNode.mark)
            if let line = firstLines[key] {
                log.error("duplicate key \(quoted(key))", at: position, hint: "first defined on line \(line)")
                continue
            }
            firstLines[key] = position.line
            entries.append(ConfigNode.Entry(key: key, keyPosition: position, value: value))
        }
        return entries
    }

    private mutating func key(from node: Node, log: inout DiagnosticLog) -> String? {
        let position = SourcePosition(node.mark)
        guard case .scalar(let scalar) = node else {
            log.error("a key must be a name, not a collection", at: position)
            return nil
        }
        checkTag(of: node, log: &log)
        let text = masked.restore(scalar.string)
        if scalar.style == .plain {
            if text.hasPrefix("?"), text.dropFirst().first.map({ $0 == " " }) ?? true {
                log.error("keys introduced by '?' are not supported", at: position, hint: "write 'key: value'")
                return nil
            }
            if MaskedText.beginsWithStar(scalar.string) {
                log.error("an alias cannot be a key", at: position, hint: "quote the key if it begins with '*'")
                return nil
            }
            if text.isEmpty {
                log.error("the key is missing before ':'", at: position)
                return nil
            }
            if text == "<<" {
                let hint = "an alias can stand only for a whole value"
                log.error("merge keys ('<<') are not supported", at: position, hint: hint)
                return nil
            }
        }
        if let anchor = scalar.anchor {
            anchors[anchor.rawValue] = ConfigNode(content: .scalar(text, isPlain: false), position: position)
        }
        return text
    }

    private mutating func node(
        from scalar: Node.Scalar, at position: SourcePosition, log: inout DiagnosticLog
    ) -> ConfigNode {
        let text = masked.restore(scalar.string)
        let isPlain = scalar.style == .plain
        if isPlain, MaskedText.beginsWithStar(scalar.string) {
            return alias(named: String(text.dropFirst()), at: position, log: &log)
        }
        if isPlain, text == "?" || text.hasPrefix("? ") {
            log.error("keys introduced by '?' are not supported", at: position, hint: "write 'key: value'")
        }
        return ConfigNode(content: .scalar(text, isPlain: isPlain), position: position)
    }

    private mutating func alias(
        named name: String, at position: SourcePosition, log: inout DiagnosticLog
    ) -> ConfigNode {
        var node = ConfigNode(content: .scalar("", isPlain: false), position: position)
        guard !name.isEmpty, name.utf8.allSatisfy(isAnchorCharacter) else {
            log.error("a value that begins with '*' must be quoted", at: position)
            return node
        }
        guard let target = anchors[name] else {
            let hint = Suggestion.nearest(to: name, among: anchors.keys.sorted()).map { "did you mean '*\($0)'?" }
            log.error("alias '*\(name)' has no anchor '&\(name)' before it", at: position, hint: hint)
            return node
        }
        node.content = target.content
        node.position = target.position
        node.aliasExpansions = target.aliasExpansions + 1
        aliasExpansions += node.aliasExpansions
        if aliasExpansions > Self.maxAliasExpansions {
            log.error("more than \(Self.maxAliasExpansions) alias expansions", at: position)
            gaveUp = true
        }
        return node
    }

    private func checkTag(of node: Node, log: inout DiagnosticLog) {
        let standard = "tag:yaml.org,2002:"
        let tag = node.tag.rawValue
        let known = ["", "!", "str", "int", "float", "bool", "null", "seq", "map"]
        if tag.hasPrefix(standard) ? known.contains(String(tag.dropFirst(standard.count))) : known.contains(tag) {
            return
        }
        log.error("tag \(quoted(masked.restore(tag))) is not supported", at: SourcePosition(node.mark))
    }
}

// MARK: - Syntax errors

extension YAMLComposer {
    private func report(_ error: any Error, log: inout DiagnosticLog) {
        switch error as? YamlError {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _):
            let position = clamped(SourcePosition(mark))
            if problem.hasPrefix("Maximum nesting level") {
                log.error("nested more than \(Self.maxDepth) levels deep", at: position)
                return
            }
            var message = masked.restore(problem)
            if let context {
                message += " \(context.text)"
                if context.mark.line != mark.line { message += " that began on line \(context.mark.line)" }
            }
            log.error("YAML syntax: \(message)", at: position, hint: hint(for: problem, at: position))
        case .composer(_, _, let mark, _):
            // Without aliases the only error of this kind.
            let hint = "a file holds one document"
            log.error("a second YAML document begins here", at: clamped(SourcePosition(mark)), hint: hint)
        default:
            log.error("the file could not be read as YAML: \(error)", at: nil)
        }
    }

    /// A position inside the text: libyaml puts the end of the input on a line of its own.
    private func clamped(_ position: SourcePosition) -> SourcePosition {
        var line = max(position.line, 1)
        while line > 1, source.line(line)?.isEmpty ?? true { line -= 1 }
        guard line < position.line else { return SourcePosition(line: line, column: max(position.column, 1)) }
        return SourcePosition(line: line, column: (source.line(line)?.count ?? 0) + 1)
    }

    private func hint(for problem: String, at position: SourcePosition) -> String? {
        let line = source.line(position.line) ?? []
        if let index = source.index(of: position) {
            switch source.scalars[index] {
            case "\t": return "indent with spaces: YAML allows no tabs there"
            case ":" where problem.contains("node content"):
                return "quote values that begin with ':' inside [ ] and { }"
            case ":" where index > 0 && source.scalars[index - 1] == "]":
                return "quote an address that begins with '['"
            case "@", "`", "%": return "quote values that begin with '\(source.scalars[index])'"
            default: break
            }
        }
        if zip(line, line.dropFirst()).contains(where: { $0 == "$" && $1 == "{" }) {
            return "quote values with ${…} inside [ ] and { }"
        }
        for number in [position.line - 1, position.line] where source.line(number)?.first == "?" {
            return "keys introduced by '?' are not supported"
        }
        if problem.contains("mapping values are not allowed") { return "quote values that contain ': '" }
        return nil
    }
}

extension SourcePosition {
    fileprivate init(_ mark: Mark) {
        self.init(line: mark.line, column: mark.column)
    }

    /// Nodes that come from a parser always have a mark.
    fileprivate init(_ mark: Mark?) {
        self.init(line: mark?.line ?? 1, column: mark?.column ?? 1)
    }
}

private func isAnchorCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
        true
    default: false
    }
}
