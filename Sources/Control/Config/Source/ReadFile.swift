#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The first `limit` bytes of a file, or of what a pipe gives.
///
/// The C library's own calls: reading one file is not worth what full Foundation adds to the binary.
/// - Throws: one diagnostic that names the path and the system's reason.
func readFile(_ path: String, atMost limit: Int) throws(InvalidConfiguration) -> [UInt8] {
    // A path that holds a NUL would be cut there.
    guard !path.isEmpty, !path.utf8.contains(0) else {
        throw InvalidConfiguration([Diagnostic(origin: path, message: "this is not a path")])
    }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw unreadable(path, errno) }
    defer { close(descriptor) }

    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while bytes.count < limit {
        let wanted = min(chunk.count, limit - bytes.count)
        let count = chunk.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, wanted) }
        if count == 0 { break }
        if count < 0 {
            if errno == EINTR { continue }
            throw unreadable(path, errno)
        }
        bytes += chunk[..<count]
    }
    return bytes
}

/// Why this process cannot read a file now (`No such file or directory`); nil when it can.
func obstacleToReading(_ path: String) -> String? {
    access(path, R_OK) == 0 ? nil : systemReason(errno)
}

/// The system's words for an error number.
func systemReason(_ code: Int32) -> String {
    strerror(code).map { String(cString: $0) } ?? "error \(code)"
}

private func unreadable(_ path: String, _ code: Int32) -> InvalidConfiguration {
    InvalidConfiguration([Diagnostic(origin: path, message: "the file cannot be read: \(systemReason(code))")])
}
