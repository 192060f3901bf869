extension Field {
    /// A list of single values whose order says nothing; one alone needs no list.
    static func set<Value: Hashable>(_ key: String, _ path: Path<Set<Value>>, _ syntax: ValueSyntax<Value>) -> Field {
        Field(key) { node, place, root, reading in
            if case .sequence(let elements) = node.content {
                root[keyPath: path] = Set(reading.values(of: elements, as: syntax, path: place))
            } else if let value = reading.value(of: node, as: syntax, path: place) {
                root[keyPath: path] = [value]
            }
        } write: { root, writer in
            let texts = root[keyPath: path].map(syntax.render).sorted()
            writer.pair(key, "[" + texts.joined(separator: ", ") + "]")
        }
    }

    /// A mapping that is a value of its own and has the key `enabled`; `off` alone says `enabled: false`.
    static func switchedSection<Value>(
        _ key: String, _ path: Path<Value>, enabled: any WritableKeyPath<Value, Bool> & Sendable,
        _ fields: [Field<Value>]
    ) -> Field {
        let fields = [Field<Value>.scalar("enabled", enabled, .boolean)] + fields
        let section = Field.section(key, path, fields, orOff: .defaults)
        return Field(key, leaves: section.leaves) { node, place, root, reading in
            if case .scalar("off", _) = node.content {
                root[keyPath: path][keyPath: enabled] = false
            } else {
                section.read(node, place, &root, &reading)
            }
        } write: { root, writer in
            section.write(root, &writer)
        }
    }

    /// A mapping that may be absent and is read into a draft of another form; `off` says that it is absent.
    /// - Parameters:
    ///   - draft: of nothing, or of the value to be written.
    ///   - finish: makes the value of a draft whose fields could all be read, or says at `place` why there is none.
    static func draftedSection<Value, Draft>(
        _ key: String, _ path: Path<Value?>, _ fields: [Field<Draft>], draft: @escaping @Sendable (Value?) -> Draft,
        finish: @escaping @Sendable (Draft) throws(ValueSyntaxError) -> Value
    ) -> Field {
        Field(key, leaves: fields.flatMap { $0.leaves.map { "\(key).\($0)" } }) { node, place, root, reading in
            if node.isNull { return reading.warnEmpty(place, at: node.position, takesDefaults: false) }
            if case .scalar("off", _) = node.content { return }
            let refusedBefore = reading.refused.count
            var value = draft(nil)
            reading.read(node, as: fields, into: &value, path: place, orOff: .keys)
            guard case .mapping = node.content, reading.refused.count == refusedBefore else { return }
            do throws(ValueSyntaxError) {
                root[keyPath: path] = try finish(value)
            } catch {
                reading.refuseSection(place, error, at: node.position)
            }
        } write: { root, writer in
            guard let value = root[keyPath: path] else { return writer.pair(key, "off") }
            writer.section(key) { inner in
                for field in fields { field.write(draft(value), &inner) }
            }
        }
    }

    /// A mapping from names to texts.
    static func texts(_ key: String, _ path: Path<[String: String]>, _ syntax: ValueSyntax<String>) -> Field {
        Field(key) { node, place, root, reading in
            for entry in reading.entries(of: node, path: place) ?? [] {
                let entryPlace = "\(place).\(entry.key)"
                do throws(ValueSyntaxError) {
                    try checkName(entry.key)
                } catch {
                    reading.refuse(entryPlace, error.message, at: entry.keyPosition, hint: error.hint)
                }
                if let value = reading.value(of: entry.value, as: syntax, path: entryPlace) {
                    root[keyPath: path][entry.key] = value
                }
            }
        } write: { root, writer in
            writer.section(key) { inner in
                for (name, text) in root[keyPath: path].sorted(by: { $0.key < $1.key }) {
                    inner.pair(name, syntax.render(text))
                }
            }
        }
    }
}
