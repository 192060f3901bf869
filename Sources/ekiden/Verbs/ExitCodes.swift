import ArgumentParser

/// The exit codes of all verbs (those of sysexits.h where it has one).
enum ExitCodes {
    /// The process could not do its work.
    static let failure = ExitCode(1)
    /// A drain was cut short: by a second signal, or by its own time limit with streams left.
    static let forced = ExitCode(2)
    static let usage = ExitCode(64)
    static let badConfiguration = ExitCode(78)
}
