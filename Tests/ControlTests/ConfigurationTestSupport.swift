import Control

/// `line:column: message (hint)` for each diagnostic of `text`, warnings marked; empty when it loads without any.
func problems(_ text: String, environment: [String: String] = [:]) -> [String] {
    let diagnostics: [Diagnostic]
    switch ConfigurationLoader.load(text: text, file: "ekiden.yaml", environment: environment) {
    case .success(let loaded): diagnostics = loaded.warnings
    case .failure(let error): diagnostics = error.diagnostics
    }
    return diagnostics.map { diagnostic in
        let place = diagnostic.position.map { "\($0.line):\($0.column): " } ?? ""
        let mark = diagnostic.severity == .warning ? "warning: " : ""
        return place + mark + diagnostic.message + (diagnostic.hint.map { " (\($0))" } ?? "")
    }
}

/// The configuration that `text` gives, or its diagnostics as the error.
func configuration(_ text: String, environment: [String: String] = [:]) throws -> Configuration {
    try ConfigurationLoader.load(text: text, file: "ekiden.yaml", environment: environment).get().configuration
}

/// A configuration that is right, with room for one more line in `users`.
func withCluster(_ line: String) -> String {
    """
    listeners: [{listen: 127.0.0.1:1}]\nroutes: [{cluster: users}]\nclusters:\n  users:\n    discover: \
    dns://u:1\n    \(line)\n
    """
}

/// A configuration that is right, with room for more lines at the end.
func withTopLevel(_ lines: String) -> String {
    """
    listeners: [{listen: 127.0.0.1:1}]\nroutes: [{cluster: users}]\nclusters: {users: {discover: \
    dns://u:1}}\n\(lines)\n
    """
}
