import HTTP2
import Policy
import Telemetry

/// Decides whether a request that was routed is served at all, before anything is done for it: overload of the process
/// first, then the rate limits of its route. The circuit of its cluster is not here, since what that gives has to be
/// given back.
///
/// Who is refused is answered with UNAVAILABLE or 503 (overload), RESOURCE_EXHAUSTED or 429 (rate limit), a reason for
/// people, and a time to come back. REFUSED_STREAM would be as true, for nobody has looked at the request; but gRPC
/// libraries follow it by another try at once (gRFC A6, transparent retries), mostly on the same connection, which
/// would double the load of a process that has too much of it. Descriptors refuse no requests: they are kept for the
/// connections that requests need, and callers' new connections are closed in their place.
enum Admission {
    /// - Parameters:
    ///   - plan: nil for a route without settings of its own.
    ///   - now: nanoseconds of the monotonic clock.
    /// - Returns: what the request is to be answered; nil when it is served.
    @inline(__always)
    static func refusal(
        plan: RoutePlan?, pool: ClusterPool, request: HeaderBlock, connection: DownstreamConnection, worker: Worker,
        now: Int64
    ) -> Failure? {
        if worker.overload == nil, plan?.limiter == nil { return nil }
        return overload(of: worker)
            ?? plan?.limiter.flatMap { excess($0, pool: pool, request: request, connection: connection, now: now) }
    }

    private static func overload(of worker: Worker) -> Failure? {
        guard let reason = worker.overload, worker.shedding.refuses(&worker.random) else { return nil }
        switch reason {
        case .loopLag: worker.count(.overloadRefusedLag)
        case .streams: worker.count(.overloadRefusedStreams)
        case .buffers: worker.count(.overloadRefusedBuffers)
        case .descriptors: worker.count(.overloadRefusedDescriptors)
        }
        return Failure(
            .overload, "the proxy is overloaded: \(reason.text)", pushback: Pushback.soon(&worker.random))
    }

    private static func excess(
        _ limiter: RouteLimiter, pool: ClusterPool, request: HeaderBlock, connection: DownstreamConnection, now: Int64
    ) -> Failure? {
        let caller = limiter.countsCallers ? caller(limiter.callerHeader, request, connection) : 0
        guard let refusal = limiter.take(caller: caller, now: now) else { return nil }
        let subject: String
        switch refusal.scope {
        case .route:
            pool.count(.rateLimited)
            subject = "the route"
        case .caller:
            pool.count(.rateLimitedCallers)
            subject = "the caller"
        }
        return Failure(
            .rateLimited, "\(subject) is over its rate limit (cluster \(pool.cluster.name))",
            pushback: Pushback.after(refusal.wait, &pool.worker.random))
    }

    /// A hash that differs in every process: who knew it could share the bucket of somebody else.
    private static func caller(
        _ header: String?, _ request: HeaderBlock, _ connection: DownstreamConnection
    ) -> UInt64 {
        guard let header, let value = request.value(named: header) else { return connection.peerHash }
        return hash(UnsafeRawBufferPointer(value), isAddress: false)
    }

    /// See ``DownstreamConnection/peerHash``.
    static func hash(address: String) -> UInt64 {
        var address = address
        return address.withUTF8 { hash(UnsafeRawBufferPointer($0), isAddress: true) }
    }

    /// A header's value that looks like an address is not the caller of that address.
    private static func hash(_ bytes: UnsafeRawBufferPointer, isAddress: Bool) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(isAddress)
        hasher.combine(bytes: bytes)
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }
}
