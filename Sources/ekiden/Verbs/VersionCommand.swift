import ArgumentParser
import HTTP2

/// What this binary is.
enum Version {
    static let number = "0.1.0"
    static var text: String { "ekiden \(number) (nghttp2 \(LibraryVersion.nghttp2))" }
}

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "Print the version.")

    func run() {
        print(Version.text)
    }
}
