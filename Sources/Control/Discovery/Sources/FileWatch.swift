/// Decides when a file is read: when it has changed, and the change has come to rest. A value without clock or files.
struct FileWatch: Sendable {
    /// A file is read when it has looked the same for this long, so that one that is being written is let alone.
    static let rest: Duration = .seconds(1)

    /// What was read last.
    private var taken: FileIdentity?
    /// A change that has not come to rest, and when it was seen first.
    private var pending: (identity: FileIdentity, since: Duration)?
    private var isFirst = true

    /// Whether to read a file that looks so.
    ///
    /// The first look does not wait: whoever starts wants endpoints, and a file is rarely written just then.
    /// - Parameter now: ``DiscoveryClock`` time.
    mutating func shouldRead(_ identity: FileIdentity, now: Duration) -> Bool {
        if isFirst {
            isFirst = false
            return true
        }
        if identity == taken {
            pending = nil
            return false
        }
        if let pending, pending.identity == identity { return now - pending.since >= Self.rest }
        pending = (identity, now)
        return false
    }

    /// The content was read, whatever was in it: nothing more to do until the file changes.
    mutating func noteTaken(_ identity: FileIdentity) {
        taken = identity
        pending = nil
    }

    /// There was no file, or it could not be read: what comes next is new, even if it looks like the last one.
    mutating func noteObstacle() {
        isFirst = false
        taken = nil
    }

    /// The file changed while it was read.
    /// - Parameter identity: what it was changed to.
    mutating func noteChange(to identity: FileIdentity, now: Duration) {
        taken = nil
        pending = (identity, now)
    }
}

/// What one look at a file found.
enum FileOutcome: Sendable, Equatable {
    /// Nothing new, or a change that is not at rest.
    case unchanged
    case endpoints([DiscoveredEndpoint])
    /// Why there are none, for people.
    case failure(String)
}

extension FileWatch {
    /// Looks at the file and reads it if it is time. Waits for the disk, so not for the cooperative pool.
    /// - Parameter now: ``DiscoveryClock`` time.
    mutating func look(at path: String, now: Duration) -> FileOutcome {
        let isFirst = isFirst
        let identity: FileIdentity
        let bytes: [UInt8]
        do throws(InvalidConfiguration) {
            identity = try FileIdentity(path: path)
            guard shouldRead(identity, now: now) else { return .unchanged }
            // One byte more than allowed is enough to see that it is too much.
            bytes = try readFile(path, atMost: EndpointFile.maxBytes + 1)
            let after = try FileIdentity(path: path)
            guard after == identity else {
                noteChange(to: after, now: now)
                return isFirst ? .failure("\(printable(path)): the file changes while it is read") : .unchanged
            }
        } catch {
            noteObstacle()
            return .failure(Self.text(of: error))
        }
        noteTaken(identity)
        do throws(InvalidConfiguration) {
            return .endpoints(try EndpointFile.parse(bytes: bytes, file: path))
        } catch {
            return .failure(Self.text(of: error))
        }
    }

    private static func text(of error: InvalidConfiguration) -> String {
        let errors = error.diagnostics.filter { $0.severity == .error }
        let more = errors.count > 1 ? " (and \(errors.count - 1) more)" : ""
        return (errors.first?.summary ?? "the file cannot be read") + more
    }
}
