import Policy

/// The keys of a cluster's `health_check`.
enum HealthCheckSchema {
    static let field = Field<ClusterRule>.draftedSection(
        "health_check", \.settings.healthCheck, fields,
        draft: { $0.map(HealthCheckDraft.init(of:)) ?? HealthCheckDraft() },
        finish: { (draft) throws(ValueSyntaxError) in try draft.settings() })

    private static let fields: [Field<HealthCheckDraft>] = [
        .optional("grpc", \.grpc, .healthService),
        .optional("http", \.http, .healthPath),
        Field("tcp") { node, place, draft, reading in
            draft.tcp = reading.value(of: node, as: .boolean, path: place) ?? false
        } write: { draft, writer in
            if draft.tcp { writer.pair("tcp", "true") }
        },
        .optional("watch", \.watch, .boolean),
        .optional("statuses", \.statuses, .httpStatuses),
        .optional("http_version", \.version, .choice),
        .scalar("interval", \.common.interval, .wait),
        .optional("timeout", \.timeout, .wait),
        .scalar("jitter", \.common.jitter, .ratio),
        .scalar("healthy_threshold", \.common.healthyThreshold, .integer(1...1_000)),
        .scalar("unhealthy_threshold", \.common.unhealthyThreshold, .integer(1...1_000)),
    ]
}

/// The section as it is written: the kinds of probe side by side.
private struct HealthCheckDraft {
    var grpc: String?
    var http: String?
    var tcp = false
    var watch: Bool?
    var statuses: ClosedRange<Int>?
    var version: HealthProbe.HTTPVersion?
    /// Its default depends on the interval.
    var timeout: Duration?
    /// All but the probe and the timeout.
    var common = HealthCheckSettings()

    init() {}

    init(of settings: HealthCheckSettings) {
        common = settings
        timeout = settings.timeout
        switch settings.probe {
        case .grpc(let service, let watch): (grpc, self.watch) = (service, watch)
        case .http(let path, let statuses, let version):
            (http, self.statuses, self.version) = (path, statuses, version)
        case .tcp: tcp = true
        }
    }

    func settings() throws(ValueSyntaxError) -> HealthCheckSettings {
        var settings = common
        settings.timeout = timeout ?? min(settings.timeout, settings.interval)
        let kinds = [grpc.map { _ in "grpc" }, http.map { _ in "http" }, tcp ? "tcp" : nil].compactMap { $0 }
        guard kinds.count == 1 else {
            let message = kinds.isEmpty ? "says nothing to ask" : "has \(kinds.joined(separator: " and "))"
            throw ValueSyntaxError(message, hint: "write one of 'grpc: \"\"', 'http: /health' and 'tcp: true'")
        }
        if watch == true, grpc == nil {
            throw ValueSyntaxError("has 'watch' without 'grpc'", hint: "only gRPC's health service can be watched")
        }
        for (key, isThere) in [("statuses", statuses != nil), ("http_version", version != nil)]
        where isThere && http == nil {
            throw ValueSyntaxError("has '\(key)' without 'http'", hint: "leave it out")
        }
        if let grpc {
            settings.probe = .grpc(service: grpc, watch: watch ?? false)
        } else if let http {
            settings.probe = .http(path: http, statuses: statuses ?? 200...299, version: version ?? .http2)
        } else {
            settings.probe = .tcp
        }
        return settings
    }
}
