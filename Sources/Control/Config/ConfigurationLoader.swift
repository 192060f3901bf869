/// Reads and checks a configuration: YAML, and so JSON too.
package enum ConfigurationLoader {
    /// Loads a file.
    /// - Parameters:
    ///   - path: also a pipe or `/dev/stdin`; at most 1 MiB is read.
    ///   - environment: what `${NAME}` is replaced from.
    /// - Returns: the configuration and its warnings, or every error that it has.
    package static func load(
        path: String, environment: [String: String]
    ) -> Result<LoadedConfiguration, InvalidConfiguration> {
        do throws(InvalidConfiguration) {
            // One byte more than allowed is enough to see that it is too much.
            let bytes = try readFile(path, atMost: SourceText.maxBytes + 1)
            return .success(try load(bytes: bytes, file: path, environment))
        } catch {
            return .failure(error)
        }
    }

    /// Loads a text.
    /// - Parameters:
    ///   - text: the whole configuration.
    ///   - file: the name that diagnostics give it.
    ///   - environment: what `${NAME}` is replaced from.
    /// - Returns: the configuration and its warnings, or every error that it has.
    package static func load(
        text: String, file: String, environment: [String: String] = [:]
    ) -> Result<LoadedConfiguration, InvalidConfiguration> {
        load(bytes: Array(text.utf8), file: file, environment: environment)
    }

    /// Loads bytes, which have to be UTF-8; else as ``load(text:file:environment:)``.
    package static func load(
        bytes: [UInt8], file: String, environment: [String: String] = [:]
    ) -> Result<LoadedConfiguration, InvalidConfiguration> {
        do throws(InvalidConfiguration) {
            return .success(try load(bytes: bytes, file: file, environment))
        } catch {
            return .failure(error)
        }
    }

    private static func load(
        bytes: [UInt8], file: String, _ environment: [String: String]
    ) throws(InvalidConfiguration) -> LoadedConfiguration {
        let source = try SourceText(bytes: bytes, file: file)
        var log = DiagnosticLog(source: source)
        guard let root = YAMLComposer.compose(source, log: &log) else { throw InvalidConfiguration(log.sorted()) }
        if root.isNull {
            log.error("the file is empty", at: SourcePosition(line: 1, column: 1))
            throw InvalidConfiguration(log.sorted())
        }
        guard case .mapping = root.content else {
            let hint = "a configuration begins with keys like 'listeners:'"
            log.error("expected a mapping, found \(root.noun)", at: root.position, hint: hint)
            throw InvalidConfiguration(log.sorted())
        }

        var reading = ConfigurationReading(log: log, environment: environment)
        var configuration = Configuration()
        reading.read(root, as: ConfigurationSchema.fields, into: &configuration, path: "")
        for finding in ConfigurationChecks.findings(in: configuration, except: reading.refused) {
            reading.log.add(finding, at: reading.position(nearest: finding.path))
        }
        guard !reading.log.hasErrors else { throw InvalidConfiguration(reading.log.sorted()) }
        return LoadedConfiguration(configuration: configuration, warnings: reading.log.sorted())
    }
}

/// A configuration that can be run, and what is doubtful about it.
package struct LoadedConfiguration: Sendable, Equatable {
    package let configuration: Configuration
    package let warnings: [Diagnostic]

    package init(configuration: Configuration, warnings: [Diagnostic] = []) {
        self.configuration = configuration
        self.warnings = warnings
    }
}
