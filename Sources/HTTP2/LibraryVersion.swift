import CNghttp2

/// The versions of the libraries that this process runs on.
package enum LibraryVersion {
    package static var nghttp2: String {
        nghttp2_version(0).map { String(cString: $0.pointee.version_str) } ?? "unknown"
    }
}
