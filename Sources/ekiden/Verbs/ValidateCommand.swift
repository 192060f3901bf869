import ArgumentParser
import Control

/// `ekiden validate`: all errors of a configuration at once, or what it comes to.
struct ValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate",
        abstract: "Check a configuration without running it.",
        discussion: """
            Prints every error with file, line and column, and exits 78; prints a summary line and exits 0 when \
            there is none. Nothing is resolved, bound or connected.
            """)

    @OptionGroup var source: ConfigurationSource

    @Flag(help: "Print the configuration with every default filled in.")
    var effective = false

    func run() throws {
        let configuration = try source.load(environment: ProcessEnvironment.variables)
        if effective {
            print(EffectiveConfiguration.render(configuration), terminator: "")
        } else {
            print(configuration.summary)
        }
    }
}
