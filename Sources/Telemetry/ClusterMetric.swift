package import Policy

/// Everything a worker counts per cluster. The raw value is the cell in its ``CounterBlock``; the cells behind
/// ``firstStatusCell`` count finished exchanges by gRPC status, then by HTTP status class, then local replies by kind,
/// then refusals by the limit that was reached.
package enum ClusterMetric: Int, CaseIterable, Sendable {
    case streamsActive
    case connections
    case connectionsActive
    case connectFailures
    case pendingStreams
    case replaysUnsent
    case replaysRefused
    case resetsSent
    case resetsReceived
    case goAwayReceived
    case keepaliveTimeouts
    case bytesSent
    case bytesReceived
    case missingGRPCStatus
    case cancelledByCaller
    case probes
    case verificationFailures
    case darkConnections
    case retries
    case retriesSucceeded
    case retriesOverBudget
    case retriesOverLimit
    case retriesStopped
    case hedges
    case hedgesWon
    case perTryTimeouts
    case idleTimeouts
    case timeoutsNotUnderstood
    case ejectionsConsecutive
    case ejectionsSuccessRate
    case ejectionsFailureShare
    case ejectionsLatency
    case ejectionsTrial
    case ejectionTrials
    case adaptiveLimit
    case connectionsDenied
    case rateLimited
    case rateLimitedCallers
    case faultsDelayed
    case faultsAborted
    case replacements

    package var descriptor: MetricDescriptor {
        func notRetried(_ reason: String) -> MetricDescriptor {
            .counter(
                "ekiden_retries_denied_total", "Failed attempts that the policy would have followed by another one.",
                ["reason": reason])
        }
        func ejected(_ reason: String) -> MetricDescriptor {
            .counter("ekiden_ejections_total", "Endpoints passed over for a while, by reason.", ["reason": reason])
        }
        func rateLimited(_ scope: String) -> MetricDescriptor {
            .counter("ekiden_rate_limited_total", "Requests refused by a rate limit.", ["scope": scope])
        }
        func fault(_ kind: String) -> MetricDescriptor {
            .counter("ekiden_faults_injected_total", "Faults put in on purpose.", ["kind": kind])
        }
        return switch self {
        case .streamsActive:
            .gauge("ekiden_upstream_active_streams", "Streams in flight on a cluster's endpoints.")
        case .connections:
            .counter("ekiden_upstream_connections_total", "Connections opened to a cluster's endpoints.")
        case .connectionsActive:
            .gauge("ekiden_upstream_active_connections", "Connections to a cluster's endpoints that are open.")
        case .connectFailures:
            .counter(
                "ekiden_upstream_connect_failures_total",
                "Connections that took no stream: refused, reset, timed out, without SETTINGS, with GOAWAY at once, or "
                    + "with a verification that failed.")
        case .pendingStreams:
            .gauge("ekiden_upstream_pending_streams", "Streams that wait for a slot on a connection.")
        case .replaysUnsent:
            .counter(
                "ekiden_replays_total", "Streams tried on another endpoint because they were certainly not processed.",
                ["reason": "unsent"])
        case .replaysRefused:
            .counter(
                "ekiden_replays_total", "Streams tried on another endpoint because they were certainly not processed.",
                ["reason": "refused"])
        case .resetsSent:
            .counter("ekiden_upstream_resets_sent_total", "RST_STREAM frames to a cluster's endpoints.")
        case .resetsReceived:
            .counter("ekiden_upstream_resets_received_total", "RST_STREAM frames from a cluster's endpoints.")
        case .goAwayReceived:
            .counter("ekiden_upstream_goaway_received_total", "GOAWAY frames from a cluster's endpoints.")
        case .keepaliveTimeouts:
            .counter("ekiden_upstream_keepalive_timeouts_total", "Connections given up because a PING had no answer.")
        case .bytesSent:
            .counter("ekiden_upstream_sent_bytes_total", "Bytes sent to a cluster's endpoints.")
        case .bytesReceived:
            .counter("ekiden_upstream_received_bytes_total", "Bytes received from a cluster's endpoints.")
        case .missingGRPCStatus:
            .counter("ekiden_grpc_missing_status_total", "gRPC responses that ended without a grpc-status.")
        case .cancelledByCaller:
            .counter("ekiden_cancelled_total", "Exchanges that the caller cancelled or left.")
        case .probes:
            .counter("ekiden_upstream_probes_total", "Tries of unreachable endpoints, by connections without streams.")
        case .verificationFailures:
            .counter(
                "ekiden_upstream_verification_failures_total",
                "New connections given up because the task did not say that it serves the cluster's service.")
        case .darkConnections:
            .counter(
                "ekiden_upstream_dark_connections_total",
                "Times that a task stopped acknowledging what a connection sent it.")
        case .retries:
            .counter("ekiden_retries_total", "Attempts that followed a failed one by the route's policy.")
        case .retriesSucceeded:
            .counter("ekiden_retries_succeeded_total", "Exchanges that a retry brought to a good end.")
        case .retriesOverBudget: notRetried("budget")
        case .retriesOverLimit: notRetried("limit")
        case .retriesStopped: notRetried("pushback")
        case .hedges:
            .counter("ekiden_hedges_total", "Attempts made while another one of the exchange was still running.")
        case .hedgesWon:
            .counter("ekiden_hedges_won_total", "Exchanges that a hedge answered before the first attempt.")
        case .perTryTimeouts:
            .counter("ekiden_per_try_timeouts_total", "Attempts given up at their own timeout.")
        case .idleTimeouts:
            .counter("ekiden_stream_idle_timeouts_total", "Exchanges ended because nothing moved on them.")
        case .timeoutsNotUnderstood:
            .counter("ekiden_grpc_timeout_invalid_total", "Requests whose grpc-timeout is none; passed on unchanged.")
        case .ejectionsConsecutive: ejected("consecutive_failures")
        case .ejectionsSuccessRate: ejected("success_rate")
        case .ejectionsFailureShare: ejected("failure_share")
        case .ejectionsLatency: ejected("latency")
        case .ejectionsTrial: ejected("trial")
        case .ejectionTrials:
            .counter("ekiden_ejection_trials_total", "Streams sent to ejected endpoints to see whether they recovered.")
        case .adaptiveLimit:
            .gauge(
                "ekiden_upstream_adaptive_limit",
                "Exchanges at a time that a cluster's latency lets wait for an answer; zero where it is not asked.")
        case .connectionsDenied:
            .counter(
                "ekiden_upstream_connections_denied_total",
                "Connections not opened because the cluster had as many as it may.")
        case .rateLimited: rateLimited("route")
        case .rateLimitedCallers: rateLimited("caller")
        case .faultsDelayed: fault("delay")
        case .faultsAborted: fault("abort")
        case .replacements:
            .counter(
                "ekiden_upstream_replacements_total",
                "Connections opened because the task was about to close the one in use.")
        }
    }

    package static let firstStatusCell = allCases.count
    package static let firstHTTPClassCell = firstStatusCell + GRPCStatus.allCases.count
    package static let firstLocalReplyCell = firstHTTPClassCell + 5
    package static let firstLimitCell = firstLocalReplyCell + Failure.Kind.allCases.count
    /// Cells in a cluster's block.
    package static let cellCount = firstLimitCell + CircuitLimit.allCases.count

    /// The cell of finished gRPC exchanges with this status; codes beyond 16 count as UNKNOWN, as a client reads them.
    package static func cell(grpcStatus code: Int) -> Int {
        firstStatusCell + (GRPCStatus(rawValue: code) ?? .unknown).rawValue
    }

    /// The cell of finished non-gRPC exchanges with this HTTP status (100...599).
    package static func cell(httpStatus: Int) -> Int {
        firstHTTPClassCell + min(max(httpStatus / 100, 1), 5) - 1
    }

    /// The cell of exchanges that Ekiden answered itself.
    package static func cell(localReply kind: Failure.Kind) -> Int {
        firstLocalReplyCell + (Failure.Kind.allCases.firstIndex(of: kind) ?? 0)
    }

    /// The cell of exchanges that were refused at this limit.
    package static func cell(refusedAt limit: CircuitLimit) -> Int {
        firstLimitCell + (CircuitLimit.allCases.firstIndex(of: limit) ?? 0)
    }
}
