import ArgumentParser

/// The program: one binary, one verb per duty.
@main
struct Ekiden: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ekiden",
        abstract: "A gRPC mesh data plane: HTTP/2 end to end, every stream balanced over the tasks behind a name.",
        version: Version.text,
        subcommands: [
            RunCommand.self, DiscoverCommand.self, DemoCommand.self, ValidateCommand.self, EchoCommand.self,
            HealthcheckCommand.self, VersionCommand.self,
        ])
}
