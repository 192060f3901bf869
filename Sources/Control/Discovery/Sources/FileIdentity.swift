import FoundationEssentials

/// What tells one content of a path from the next without reading it.
struct FileIdentity: Hashable, Sendable {
    /// Where the path's symbolic links lead: a config map swaps one.
    var target: String
    var inode: UInt64
    /// Bytes.
    var size: UInt64
    var modified: Date
}

extension FileIdentity {
    /// Looks at a path, through symbolic links.
    /// - Throws: why there is no file to be read: the system's reason, or that it is of another kind.
    init(path: String) throws(InvalidConfiguration) {
        func obstacle(_ message: String) -> InvalidConfiguration {
            InvalidConfiguration([Diagnostic(origin: path, message: message)])
        }
        if let reason = obstacleToReading(path) { throw obstacle("the file cannot be read: \(reason)") }
        // Not stat(2): the members of its structure belong to one C module or another, as the compiler happens to look.
        let target = URL(filePath: path).resolvingSymlinksInPath().path
        let attributes: [FileAttributeKey: Any]
        do {
            attributes = try FileManager.default.attributesOfItem(atPath: target)
        } catch {
            throw obstacle("the file cannot be looked at")
        }
        // A pipe would make the reader wait for whoever writes.
        guard attributes[.type] as? FileAttributeType == .typeRegular else { throw obstacle("this is not a file") }
        self.init(
            target: target, inode: attributes[.systemFileNumber] as? UInt64 ?? 0,
            size: Self.size(attributes[.size]),
            modified: attributes[.modificationDate] as? Date ?? .distantPast)
    }

    /// Foundation's two libraries give it in two types.
    private static func size(_ value: Any?) -> UInt64 {
        value as? UInt64 ?? (value as? UInt).map(UInt64.init) ?? 0
    }
}
