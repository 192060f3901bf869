import ArgumentParser

@main
struct Ekiden: AsyncParsableCommand {
    func run() async throws {}
}
