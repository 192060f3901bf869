/// The limits of a cluster at which its circuit opens. The raw value is the label of the metric.
package enum CircuitLimit: String, Sendable, CaseIterable {
    /// Streams that wait for a slot: as many as may, or one that waited as long as it may.
    case pending
    case requests
    /// Of the streams of each endpoint that could be had.
    case requestsPerEndpoint = "requests_per_endpoint"
    case connections
    /// The one that follows the cluster's latency.
    case adaptive
}
