/// The configuration as it is run: what `ekiden validate --effective` prints.
package enum EffectiveConfiguration {
    /// YAML with every default filled in. Loaded again it gives an equal configuration.
    package static func render(_ configuration: Configuration) -> String {
        var writer = YAMLWriter()
        for field in ConfigurationSchema.fields { field.write(configuration, &writer) }
        return writer.text
    }
}

extension Configuration {
    /// One line for people: `OK: 2 listeners, 5 routes, 4 clusters`.
    package var summary: String {
        func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
        let parts = [
            counted(listeners.count, "listener"), counted(routes.count, "route"), counted(clusters.count, "cluster"),
        ]
        return "OK: " + parts.joined(separator: ", ")
    }
}
