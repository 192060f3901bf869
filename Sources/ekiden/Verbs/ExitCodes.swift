import ArgumentParser

/// The exit codes of all verbs (those of sysexits.h where it has one).
enum ExitCodes {
    /// The process could not do its work.
    static let failure = ExitCode(1)
    /// A second signal cut a drain short.
    static let forced = ExitCode(2)
    static let usage = ExitCode(64)
    static let badConfiguration = ExitCode(78)
}
