import Hummingbird
import NIOCore
import Policy
import Telemetry

/// Answers the requests of the admin server.
struct AdminResponder: HTTPResponder {
    let source: AdminSource
    let hosts: HostGuard

    func respond(to request: Request, context: AdminContext) async -> Response {
        guard hosts.admits(request.head.authority) else {
            return Self.refusal(
                .misdirectedRequest, "wrong_host",
                "the admin server answers to an IP address or localhost in Host, unless admin.allow_remote is set")
        }
        // No page has a use for a body, and one that nobody reads should not keep a connection busy.
        guard !request.declaresBody else {
            return Self.refusal(.contentTooLarge, "request_too_large", "a request to the admin server has no body")
                .closing(context.channel)
        }
        guard let page = Page(path: request.uri.path) else {
            let path = quoted(request.uri.path)
            return Self.refusal(.notFound, "not_found", "there is no page \(path); / lists those that are")
        }
        guard request.method == .get else {
            let message = "\(request.uri.path) answers to GET, not to \(request.method.rawValue)"
            var refusal = Self.refusal(.methodNotAllowed, "method_not_allowed", message)
            refusal.headers[.allow] = "GET"
            return refusal
        }
        return await answer(page)
    }

    private func answer(_ page: Page) async -> Response {
        switch page {
        case .timeline(let cluster):
            guard let timeline = await source.timeline(cluster) else {
                let names = await source.clusters().map(\.name).joined(separator: ", ")
                return Self.refusal(
                    .notFound, "no_cluster", "there is no cluster \(quoted(cluster)); there are: \(names)")
            }
            return Self.json(.ok, TimelineReport.json(timeline, cluster: cluster))
        case .list:
            return Self.text(.ok, Page.index)
        case .live:
            return Self.text(.ok, "live\n")
        case .ready:
            let readiness = await source.readiness()
            if readiness.isReady { return Self.text(.ok, "ready\n") }
            return Self.text(.serviceUnavailable, readiness.reasons.map { "\($0)\n" }.joined())
        case .metrics:
            let families = await source.allFamilies()
            return Self.response(.ok, PrometheusText.contentType, PrometheusText.write(families))
        case .clusters:
            let now = Int64(bitPattern: NIODeadline.now().uptimeNanoseconds)
            return Self.json(.ok, ClusterReport.json(await source.clusters(), now: now))
        }
    }

    /// The paths that are served.
    private enum Page {
        case list
        case live
        case ready
        case metrics
        case clusters
        case timeline(cluster: String)

        /// Names of clusters need no escapes in a path.
        init?(path: String) {
            switch path {
            case "/": self = .list
            case "/live": self = .live
            case "/ready": self = .ready
            case "/metrics": self = .metrics
            case "/clusters": self = .clusters
            default:
                let (start, end) = ("/clusters/", "/timeline")
                guard path.hasPrefix(start), path.hasSuffix(end), path.count > start.count + end.count else {
                    return nil
                }
                self = .timeline(cluster: String(path.dropFirst(start.count).dropLast(end.count)))
            }
        }

        static let index = """
            /                          this list
            /live                      200 while the process runs
            /ready                     200 when callers may be sent here, else 503 and the reasons
            /metrics                   counters, in the Prometheus text format
            /clusters                  clusters, endpoints and discovery, in JSON
            /clusters/{name}/timeline  the last 200 things that discovery saw and did for a cluster, in JSON

            """
    }

    private static func refusal(_ status: HTTPResponse.Status, _ error: String, _ message: String) -> Response {
        json(status, .members(["error": .string(error), "message": .string(message)]))
    }

    private static func json(_ status: HTTPResponse.Status, _ value: JSONValue) -> Response {
        response(status, "application/json", value.rendered() + "\n")
    }

    private static func text(_ status: HTTPResponse.Status, _ text: String) -> Response {
        response(status, "text/plain; charset=utf-8", text)
    }

    private static func response(_ status: HTTPResponse.Status, _ contentType: String, _ body: String) -> Response {
        Response(
            status: status,
            headers: [.contentType: contentType, .cacheControl: "no-store", .xContentTypeOptions: "nosniff"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: body)))
    }
}

/// What a response needs to know of its connection.
struct AdminContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }
}

extension Request {
    /// Whether a body follows (RFC 9112, 6).
    fileprivate var declaresBody: Bool {
        headers[.transferEncoding] != nil || headers[.contentLength].map { $0 != "0" } ?? false
    }
}

extension Response {
    /// The same response, and the end of the connection behind it.
    fileprivate func closing(_ channel: any Channel) -> Response {
        var response = self
        let body = self.body
        response.headers[.connection] = "close"
        response.body = ResponseBody(contentLength: body.contentLength) { writer in
            try await body.write(writer)
            channel.close(promise: nil)
        }
        return response
    }
}
