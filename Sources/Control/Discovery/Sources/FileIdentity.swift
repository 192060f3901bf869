#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// What tells one content of a path from the next without reading it.
struct FileIdentity: Hashable, Sendable {
    var device: UInt64
    var inode: UInt64
    /// Bytes.
    var size: Int64
    /// The modification time.
    var seconds: Int64
    var nanoseconds: Int64
}

extension FileIdentity {
    /// Looks at a path, through symbolic links.
    /// - Throws: why there is no file to be read: the system's reason, or that it is of another kind.
    init(path: String) throws(InvalidConfiguration) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw InvalidConfiguration([
                Diagnostic(origin: path, message: "the file cannot be read: \(systemReason(errno))")
            ])
        }
        // A pipe would make the reader wait for whoever writes.
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw InvalidConfiguration([Diagnostic(origin: path, message: "this is not a file")])
        }
        #if canImport(Darwin)
        let modified = status.st_mtimespec
        #else
        let modified = status.st_mtim
        #endif
        self.init(
            device: UInt64(truncatingIfNeeded: status.st_dev), inode: UInt64(truncatingIfNeeded: status.st_ino),
            size: Int64(status.st_size), seconds: Int64(modified.tv_sec), nanoseconds: Int64(modified.tv_nsec))
    }
}
