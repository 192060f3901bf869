/// One key of a mapping in the configuration: how it is read into `Root` and how it is written back.
///
/// The tables of fields are the configuration's only description: the loader, `validate --effective` and the list of
/// keys in "did you mean" all work from them, so they cannot drift apart.
struct Field<Root>: Sendable {
    let key: String
    let isRequired: Bool
    /// The paths below this key (`keepalive.interval`), or the key alone.
    let leaves: [String]
    let read: @Sendable (ConfigNode, String, inout Root, inout ConfigurationReading) -> Void
    let write: @Sendable (Root, inout YAMLWriter) -> Void

    init(
        _ key: String, isRequired: Bool = false, leaves: [String]? = nil,
        read: @escaping @Sendable (ConfigNode, String, inout Root, inout ConfigurationReading) -> Void,
        write: @escaping @Sendable (Root, inout YAMLWriter) -> Void = { _, _ in }
    ) {
        self.key = key
        self.isRequired = isRequired
        self.leaves = leaves ?? [key]
        self.read = read
        self.write = write
    }
}

extension Field {
    typealias Path<Value> = any WritableKeyPath<Root, Value> & Sendable

    /// A single value.
    static func scalar<Value>(
        _ key: String, _ path: Path<Value>, _ syntax: ValueSyntax<Value>, isRequired: Bool = false
    ) -> Field {
        Field(key, isRequired: isRequired) { node, place, root, reading in
            if let value = reading.value(of: node, as: syntax, path: place) { root[keyPath: path] = value }
        } write: { root, writer in
            writer.pair(key, syntax.render(root[keyPath: path]))
        }
    }

    /// A single value that may be absent; then nothing is written.
    static func optional<Value>(_ key: String, _ path: Path<Value?>, _ syntax: ValueSyntax<Value>) -> Field {
        Field(key) { node, place, root, reading in
            if let value = reading.value(of: node, as: syntax, path: place) { root[keyPath: path] = value }
        } write: { root, writer in
            if let value = root[keyPath: path] { writer.pair(key, syntax.render(value)) }
        }
    }

    /// A list of single values; one alone needs no list.
    static func values<Value>(
        _ key: String, _ path: Path<[Value]>, isRequired: Bool = false,
        _ syntax: @escaping @Sendable (Root) -> ValueSyntax<Value>
    ) -> Field {
        Field(key, isRequired: isRequired) { node, place, root, reading in
            let syntax = syntax(root)
            if case .sequence(let elements) = node.content {
                root[keyPath: path] = reading.values(of: elements, as: syntax, path: place)
            } else if let value = reading.value(of: node, as: syntax, path: place) {
                root[keyPath: path] = [value]
            }
        } write: { root, writer in
            writer.list(key, root[keyPath: path], syntax(root))
        }
    }

    /// A list of single values, or `word` for nil; one alone needs no list.
    static func values<Value>(
        _ key: String, _ path: Path<[Value]?>, or word: String, _ syntax: ValueSyntax<Value>
    ) -> Field {
        Field(key) { node, place, root, reading in
            if case .sequence(let elements) = node.content {
                root[keyPath: path] = reading.values(of: elements, as: syntax, path: place)
            } else if let value = reading.value(of: node, as: syntax.orNil(word), path: place) {
                root[keyPath: path] = value.map { [$0] }
            }
        } write: { root, writer in
            guard let values = root[keyPath: path] else { return writer.pair(key, word) }
            writer.list(key, values, syntax)
        }
    }

    /// A mapping whose keys set fields of `Root` itself.
    static func group(_ key: String, _ fields: [Field]) -> Field {
        Field(key, leaves: fields.flatMap { $0.leaves.map { "\(key).\($0)" } }) { node, place, root, reading in
            reading.read(node, as: fields, into: &root, path: place)
        } write: { root, writer in
            writer.section(key) { inner in
                for field in fields { field.write(root, &inner) }
            }
        }
    }

    /// A mapping that is a value of its own.
    /// - Parameter orOff: what to write instead of a single value.
    static func section<Value>(
        _ key: String, _ path: Path<Value>, _ fields: [Field<Value>], orOff: SectionHint = .pairs
    ) -> Field {
        Field(key, leaves: fields.flatMap { $0.leaves.map { "\(key).\($0)" } }) { node, place, root, reading in
            reading.read(node, as: fields, into: &root[keyPath: path], path: place, orOff: orOff)
        } write: { root, writer in
            writer.section(key) { inner in
                for field in fields { field.write(root[keyPath: path], &inner) }
            }
        }
    }

    /// A mapping that may be absent; `off` says so.
    /// - Parameters:
    ///   - blank: what the fields are read into; it is only used when all required ones are there.
    ///   - main: the key that a single value in place of the mapping is meant for.
    static func optionalSection<Value: Sendable>(
        _ key: String, _ path: Path<Value?>, blank: Value, main: String? = nil, _ fields: [Field<Value>]
    ) -> Field {
        let takesDefaults = !fields.contains(where: \.isRequired)
        let hint = takesDefaults ? SectionHint.defaults : main.map { .keysOr(value: $0) } ?? .keys
        return Field(key, leaves: fields.flatMap { $0.leaves.map { "\(key).\($0)" } }) { node, place, root, reading in
            if node.isNull { return reading.warnEmpty(place, at: node.position, takesDefaults: takesDefaults) }
            if case .scalar("off", _) = node.content { return }
            var value = blank
            reading.read(node, as: fields, into: &value, path: place, orOff: hint)
            root[keyPath: path] = value
        } write: { root, writer in
            guard let value = root[keyPath: path] else { return writer.pair(key, "off") }
            writer.section(key) { inner in
                for field in fields { field.write(value, &inner) }
            }
        }
    }

    /// A list of mappings.
    static func list<Element>(_ key: String, _ path: Path<[Element]>, _ table: ElementTable<Element>) -> Field {
        Field(key, leaves: table.leaves.map { "\(key)[].\($0)" }) { node, place, root, reading in
            guard let elements = reading.elements(of: node, path: place) else { return }
            for (index, element) in elements.enumerated() {
                root[keyPath: path].append(table.read(element, "", "\(place)[\(index)]", &reading))
            }
        } write: { root, writer in
            let elements = root[keyPath: path]
            if elements.isEmpty { return writer.pair(key, "[]") }
            writer.section(key) { inner in
                for element in elements {
                    inner.element { table.write(element, &$0) }
                }
            }
        }
    }

    /// A mapping from names to mappings, in the order of the file.
    static func named<Element>(
        _ key: String, _ path: Path<[Element]>, name: any KeyPath<Element, String> & Sendable,
        _ table: ElementTable<Element>
    ) -> Field {
        Field(key, leaves: table.leaves.map { "\(key).*.\($0)" }) { node, place, root, reading in
            guard let entries = reading.entries(of: node, path: place) else { return }
            for entry in entries {
                let elementPlace = "\(place).\(entry.key)"
                do throws(ValueSyntaxError) {
                    try checkName(entry.key)
                } catch {
                    reading.refuse(elementPlace, error.message, at: entry.keyPosition, hint: error.hint)
                }
                root[keyPath: path].append(table.read(entry.value, entry.key, elementPlace, &reading))
                reading.found(elementPlace, at: entry.keyPosition)
            }
        } write: { root, writer in
            writer.section(key) { inner in
                for element in root[keyPath: path] {
                    inner.section(element[keyPath: name]) { table.write(element, &$0) }
                }
            }
        }
    }
}

/// How an element of a list, or of a mapping by name, is read and written.
struct ElementTable<Element>: Sendable {
    let leaves: [String]
    /// From the node, its name (empty in lists) and its path.
    let read: @Sendable (ConfigNode, String, String, inout ConfigurationReading) -> Element
    let write: @Sendable (Element, inout YAMLWriter) -> Void

    /// - Parameters:
    ///   - draft: what the fields are read into, made from the name.
    ///   - finish: makes the element of it; what is missing then has been reported already.
    init<Draft>(
        _ fields: [Field<Draft>], draft: @escaping @Sendable (String) -> Draft,
        redraft: @escaping @Sendable (Element) -> Draft, finish: @escaping @Sendable (Draft) -> Element
    ) {
        leaves = fields.flatMap(\.leaves)
        read = { node, name, place, reading in
            var value = draft(name)
            reading.read(node, as: fields, into: &value, path: place)
            return finish(value)
        }
        write = { element, writer in
            let value = redraft(element)
            for field in fields { field.write(value, &writer) }
        }
    }
}
