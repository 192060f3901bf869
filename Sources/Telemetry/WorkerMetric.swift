/// Everything a worker counts that belongs to no cluster. The raw value is the cell in its ``CounterBlock``.
package enum WorkerMetric: Int, CaseIterable, Sendable {
    case downstreamConnections
    case downstreamConnectionsActive
    case downstreamConnectionsRefused
    case downstreamConnectionsAged
    case downstreamStreamsActive
    case downstreamBytesReceived
    case downstreamBytesSent
    case bufferedBytes
    case retainedBytes
    case notHTTP2Plain
    case notHTTP2TLS
    case notHTTP2Other
    case resetsReceived
    case resetsReceivedPremature
    case resetsSent
    case resetsSentProvoked
    case glitches
    case streamWriteStalls
    case headersTooLarge
    case killedPreface
    case killedSettings
    case killedHeaderBlock
    case killedContinuation
    case killedHeaderBytes
    case killedRapidReset
    case killedProvokedReset
    case killedGlitches
    case killedFlood
    case killedIdle
    case killedWriteStall
    case killedProtocolError
    case noRoute
    case overloadRefusedLag
    case overloadRefusedStreams
    case overloadRefusedBuffers
    case overloadRefusedDescriptors
    case eventLoopLag
    case snapshotsApplied
    case snapshotApplyTime
    case invariantViolations

    package var descriptor: MetricDescriptor {
        func killed(_ reason: String) -> MetricDescriptor {
            .counter(
                "ekiden_h2_connections_killed_total",
                "Connections closed because the peer broke a rule or a limit, by reason.", ["reason": reason])
        }
        func refused(_ protocolName: String) -> MetricDescriptor {
            .counter(
                "ekiden_downstream_not_http2_total",
                "Connections refused because the client did not speak HTTP/2 with prior knowledge.",
                ["protocol": protocolName])
        }
        func overload(_ reason: String) -> MetricDescriptor {
            .counter(
                "ekiden_overload_refused_total",
                "Requests (and for want of descriptors: connections) refused because the process was overloaded.",
                ["reason": reason])
        }
        return switch self {
        case .downstreamConnections:
            .counter("ekiden_downstream_connections_total", "Connections accepted from callers.")
        case .downstreamConnectionsActive:
            .gauge("ekiden_downstream_active_connections", "Connections from callers that are open.")
        case .downstreamConnectionsRefused:
            .counter(
                "ekiden_downstream_connections_refused_total",
                "Connections refused at the listener's connection limit, or for want of descriptors.")
        case .downstreamConnectionsAged:
            .counter("ekiden_downstream_connections_aged_total", "Connections asked to go because of their age.")
        case .downstreamStreamsActive:
            .gauge("ekiden_active_streams", "Exchanges in flight.")
        case .downstreamBytesReceived:
            .counter("ekiden_downstream_received_bytes_total", "Bytes received from callers.")
        case .downstreamBytesSent:
            .counter("ekiden_downstream_sent_bytes_total", "Bytes sent to callers.")
        case .bufferedBytes:
            .gauge("ekiden_buffered_bytes", "Body bytes held between the two legs.")
        case .retainedBytes:
            .gauge("ekiden_replay_bytes", "Request bytes that were sent and are held for another attempt.")
        case .notHTTP2Plain: refused("http1")
        case .notHTTP2TLS: refused("tls")
        case .notHTTP2Other: refused("other")
        case .resetsReceived:
            .counter("ekiden_h2_resets_received_total", "RST_STREAM frames from callers.", ["premature": "false"])
        case .resetsReceivedPremature:
            .counter("ekiden_h2_resets_received_total", "RST_STREAM frames from callers.", ["premature": "true"])
        case .resetsSent:
            .counter("ekiden_h2_resets_sent_total", "RST_STREAM frames to callers.", ["provoked": "false"])
        case .resetsSentProvoked:
            .counter("ekiden_h2_resets_sent_total", "RST_STREAM frames to callers.", ["provoked": "true"])
        case .glitches:
            .counter("ekiden_h2_glitches_total", "Legal but suspicious frames from callers, weighted.")
        case .streamWriteStalls:
            .counter("ekiden_stream_write_stall_total", "Streams reset because the caller took no bytes.")
        case .headersTooLarge:
            .counter(
                "ekiden_h2_headers_too_large_total", "Requests answered because their headers were over the limit.")
        case .killedPreface: killed("preface_timeout")
        case .killedSettings: killed("settings_timeout")
        case .killedHeaderBlock: killed("header_block_timeout")
        case .killedContinuation: killed("continuation")
        case .killedHeaderBytes: killed("header_bytes")
        case .killedRapidReset: killed("rapid_reset")
        case .killedProvokedReset: killed("provoked_reset")
        case .killedGlitches: killed("glitches")
        case .killedFlood: killed("flood")
        case .killedIdle: killed("idle")
        case .killedWriteStall: killed("write_stall")
        case .killedProtocolError: killed("protocol_error")
        case .snapshotsApplied:
            .counter("ekiden_snapshots_applied_total", "Changes of routes or membership that workers have taken over.")
        case .snapshotApplyTime:
            .seconds("ekiden_snapshot_apply_seconds_total", "Time that workers spent on taking them over.")
        case .noRoute:
            .counter("ekiden_no_route_total", "Requests that matched no route.")
        case .overloadRefusedLag: overload("loop_lag")
        case .overloadRefusedStreams: overload("streams")
        case .overloadRefusedBuffers: overload("buffers")
        case .overloadRefusedDescriptors: overload("descriptors")
        case .eventLoopLag:
            // Written by one worker, for all: a sum of lags would say nothing.
            .nanoseconds(
                "ekiden_event_loop_lag_seconds",
                "How late the latest of the event loops ran its timers, in the middle over two seconds.")
        case .invariantViolations:
            .counter("ekiden_invariant_violations_total", "Broken promises of the proxy to itself; must stay 0.")
        }
    }
}

extension MetricDescriptor {
    /// A gauge whose cell holds nanoseconds.
    /// - Parameter name: ends in `_seconds`.
    fileprivate static func nanoseconds(_ name: String, _ help: String) -> MetricDescriptor {
        MetricDescriptor(name: name, kind: .gauge, help: help, labels: [], scale: 1e-9)
    }
}
