/// The state of reading one tree into a ``Configuration``: the log, the variables, and where each value stood, so that
/// the checks between values can point at them.
struct ConfigurationReading {
    var log: DiagnosticLog
    /// What `${NAME}` is replaced from; nil takes values as they are written.
    let environment: [String: String]?
    /// By path (`clusters.users.port`), for what the file has.
    private(set) var positions: [String: SourcePosition] = [:]
    /// Paths whose value was refused: checks that compare it with others would only confuse.
    private(set) var refused: Set<String> = []

    init(log: DiagnosticLog, environment: [String: String]?) {
        self.log = log
        self.environment = environment
    }

    /// Notes where the value of `path` stands.
    mutating func found(_ path: String, at position: SourcePosition) {
        positions[path] = position
    }

    /// Where the value of `path` stands, or the nearest thing around it; nil when that is the whole file.
    func position(nearest path: String) -> SourcePosition? {
        var path = path[...]
        while !path.isEmpty {
            if let position = positions[String(path)] { return position }
            path = path[..<(path.lastIndex { $0 == "." || $0 == "[" } ?? path.startIndex)]
        }
        return positions[""]
    }

    /// Notes that the value of `path` cannot be used, for a reason already told.
    mutating func refuse(_ path: String) {
        refused.insert(path)
    }

    /// Reports that the value of `path` cannot be used.
    mutating func refuse(_ path: String, _ message: String, at position: SourcePosition, hint: String? = nil) {
        refused.insert(path)
        log.error("\(printable(path)): \(message)", at: position, hint: hint)
    }

    /// The value of a scalar, parsed; nil when it was refused.
    mutating func value<Value>(of node: ConfigNode, as syntax: ValueSyntax<Value>, path: String) -> Value? {
        guard case .scalar(let written, _) = node.content, !node.isNull else {
            refuse(path, "expected \(syntax.noun), found \(node.noun)", at: node.position)
            return nil
        }
        guard let text = expand(written, node, path) else { return nil }
        do throws(ValueSyntaxError) {
            return try syntax.parse(text)
        } catch {
            refuse(path, error.message, at: node.position, hint: error.hint)
            return nil
        }
    }

    /// The values of a list's elements, those that were refused left out.
    mutating func values<Value>(of elements: [ConfigNode], as syntax: ValueSyntax<Value>, path: String) -> [Value] {
        var values: [Value] = []
        for (index, element) in elements.enumerated() {
            let place = "\(path)[\(index)]"
            found(place, at: element.position)
            if let value = value(of: element, as: syntax, path: place) {
                values.append(value)
            } else {
                refuse(path)
            }
        }
        return values
    }

    /// The entries of a mapping; none for YAML's null, since a section may be left empty; nil for anything else.
    mutating func entries(of node: ConfigNode, path: String, orOff: SectionHint = .pairs) -> [ConfigNode.Entry]? {
        switch node.content {
        case .mapping(let entries): return entries
        case .scalar where node.isNull: return []
        case .scalar, .sequence:
            refuse(path, "expected a mapping, found \(node.noun)", at: node.position, hint: orOff.text(for: node))
            return nil
        }
    }

    /// The elements of a list; none for YAML's null; nil when it is something else.
    mutating func elements(of node: ConfigNode, path: String) -> [ConfigNode]? {
        switch node.content {
        case .sequence(let elements): return elements
        case .scalar where node.isNull: return []
        case .scalar, .mapping:
            refuse(path, "expected a list, found \(node.noun)", at: node.position, hint: "begin each element with '- '")
            return nil
        }
    }

    /// Reads a mapping by a table of fields. Fields are read in the order of the table, whatever the order of the file.
    /// - Parameter orOff: what to write instead of a single value.
    mutating func read<Root>(
        _ node: ConfigNode, as fields: [Field<Root>], into root: inout Root, path: String, orOff: SectionHint = .pairs
    ) {
        guard let entries = entries(of: node, path: path, orOff: orOff) else { return }
        found(path, at: node.position)
        var values: [String: ConfigNode.Entry] = [:]
        for entry in entries { values[entry.key] = entry }
        for field in fields {
            let fieldPath = path.isEmpty ? field.key : "\(path).\(field.key)"
            if let entry = values.removeValue(forKey: field.key) {
                found(fieldPath, at: entry.value.position)
                field.read(entry.value, fieldPath, &root, &self)
            } else if field.isRequired {
                refused.insert(fieldPath)
                let owner = path.isEmpty ? "the file" : printable(path)
                log.error("\(owner) has no '\(field.key)'", at: node.position)
            }
        }
        guard !values.isEmpty else { return }
        let keys = fields.map(\.key)
        for entry in entries where values[entry.key] != nil {
            let place = path.isEmpty ? "at the top level" : "in \(printable(path))"
            let hint = Suggestion.hint(for: entry.key, among: keys)
            log.error("unknown key \(quoted(entry.key)) \(place)", at: entry.keyPosition, hint: hint)
        }
    }

    private mutating func expand(_ written: String, _ node: ConfigNode, _ path: String) -> String? {
        var text = written
        if let environment {
            let expansion = VariableExpansion(written, environment: environment)
            for problem in expansion.problems {
                refuse(path, problem.message, at: place(of: problem, in: written, node), hint: problem.hint)
            }
            guard expansion.problems.isEmpty else { return nil }
            text = expansion.text
        }
        if let control = text.unicodeScalars.first(where: { $0.properties.generalCategory == .control }) {
            let name = String(control.value, radix: 16, uppercase: true)
            refuse(path, "the value holds the control character U+\(name)", at: node.position)
            return nil
        }
        return text
    }

    /// The `$` of a problem when the scalar stands unescaped on its line, else the scalar's beginning.
    private func place(of problem: VariableExpansion.Problem, in written: String, _ node: ConfigNode) -> SourcePosition
    {
        guard let line = log.source.line(node.position.line) else { return node.position }
        let scalars = Array(written.unicodeScalars)
        // Past the quote, if there is one.
        for quote in 0...1 {
            let start = line.startIndex + node.position.column - 1 + quote
            guard start + scalars.count <= line.endIndex, line[start..<(start + scalars.count)].elementsEqual(scalars)
            else { continue }
            let column = node.position.column + quote + problem.offset
            return SourcePosition(line: node.position.line, column: column)
        }
        return node.position
    }
}
