/// A place that endpoints come from, running: DNS addresses, SRV records, a file. The seam for further kinds.
///
/// A source knows nothing of clusters: several clusters may share one. It tells all it knows in each report.
package protocol EndpointSource: Sendable {
    /// Looks, reports, waits, and looks again until the task is cancelled.
    /// - Parameter report: called after the first look, whatever its outcome, and after each later one that may have
    ///   changed something; one call at a time.
    func run(report: @escaping @Sendable (SourceReport) async -> Void) async

    /// Asks for a look before its time. From any thread, returns at once; may be called often.
    func refreshNow()
}
