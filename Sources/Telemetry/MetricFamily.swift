import Policy

/// All series that share a metric name, as one scrape sees them.
package struct MetricFamily: Sendable {
    package let name: String
    package let kind: MetricDescriptor.Kind
    package let help: String
    /// In the order of writing.
    package var samples: [Sample]

    package init(_ kind: MetricDescriptor.Kind, _ name: String, _ help: String, _ samples: [Sample] = []) {
        self.name = name
        self.kind = kind
        self.help = help
        self.samples = samples
    }

    /// One series and its value now.
    package struct Sample: Sendable {
        /// In the order of writing; names are valid label names, values are any text.
        package let labels: [(name: String, value: String)]
        package let value: Double

        package init(_ value: Double, _ labels: KeyValuePairs<String, String> = [:]) {
            self.init(value, labels: labels.map { ($0, $1) })
        }

        package init(_ value: Double, labels: [(name: String, value: String)]) {
            self.labels = labels
            self.value = value
        }
    }
}

extension MetricsRegistry {
    /// Everything that the workers count, summed over them, in an order that stays the same between scrapes.
    package func families() -> [MetricFamily] {
        let clusters = clusterTotals()
        return workerFamilies() + clusterFamilies(clusters) + [
            requests(clusters), httpRequests(clusters), localReplies(clusters), openCircuits(clusters),
        ]
    }

    private func workerFamilies() -> [MetricFamily] {
        var families: [MetricFamily] = []
        for metric in WorkerMetric.allCases {
            let descriptor = metric.descriptor
            families.add(
                descriptor, MetricFamily.Sample(Double(total(metric)) * descriptor.scale, labels: descriptor.labels))
        }
        return families
    }

    private func clusterFamilies(_ clusters: [(cluster: String, cells: [Int])]) -> [MetricFamily] {
        var families: [MetricFamily] = []
        for metric in ClusterMetric.allCases {
            let descriptor = metric.descriptor
            for (cluster, cells) in clusters {
                let labels = [("cluster", cluster)] + descriptor.labels
                families.add(
                    descriptor, MetricFamily.Sample(Double(cells[metric.rawValue]) * descriptor.scale, labels: labels))
            }
        }
        return families
    }

    /// Statuses that never occurred are left out (seventeen series per cluster, most of them zero for ever), but for
    /// OK, so that a rate can be asked for from the start.
    private func requests(_ clusters: [(cluster: String, cells: [Int])]) -> MetricFamily {
        var family = MetricFamily(.counter, "ekiden_requests_total", "Finished gRPC exchanges, by status.")
        for (cluster, cells) in clusters {
            for status in GRPCStatus.allCases {
                let count = cells[ClusterMetric.cell(grpcStatus: status.rawValue)]
                guard count != 0 || status == .ok else { continue }
                family.samples.append(
                    MetricFamily.Sample(Double(count), ["cluster": cluster, "grpc_status": "\(status.rawValue)"]))
            }
        }
        return family
    }

    private func httpRequests(_ clusters: [(cluster: String, cells: [Int])]) -> MetricFamily {
        var family = MetricFamily(
            .counter, "ekiden_http_requests_total", "Finished exchanges other than gRPC, by class of HTTP status.")
        for (cluster, cells) in clusters {
            for hundreds in 1...5 {
                let count = cells[ClusterMetric.cell(httpStatus: hundreds * 100)]
                guard count != 0 else { continue }
                family.samples.append(
                    MetricFamily.Sample(Double(count), ["cluster": cluster, "code": "\(hundreds)xx"]))
            }
        }
        return family
    }

    private func localReplies(_ clusters: [(cluster: String, cells: [Int])]) -> MetricFamily {
        var family = MetricFamily(.counter, "ekiden_local_replies_total", "Exchanges that Ekiden answered itself.")
        for (cluster, cells) in clusters {
            for kind in Failure.Kind.allCases {
                let count = cells[ClusterMetric.cell(localReply: kind)]
                guard count != 0 else { continue }
                family.samples.append(
                    MetricFamily.Sample(
                        Double(count), ["cluster": cluster, "reason": kind.reason, "flag": kind.flag]))
            }
        }
        return family
    }

    private func openCircuits(_ clusters: [(cluster: String, cells: [Int])]) -> MetricFamily {
        var family = MetricFamily(
            .counter, "ekiden_circuit_open_total", "Exchanges refused at a limit of the cluster, by limit.")
        for (cluster, cells) in clusters {
            for limit in CircuitLimit.allCases {
                let count = cells[ClusterMetric.cell(refusedAt: limit)]
                family.samples.append(
                    MetricFamily.Sample(Double(count), ["cluster": cluster, "limit": limit.rawValue]))
            }
        }
        return family
    }
}

extension [MetricFamily] {
    /// Adds a sample to the family of its name, which several descriptors may share.
    fileprivate mutating func add(_ descriptor: MetricDescriptor, _ sample: MetricFamily.Sample) {
        if let index = firstIndex(where: { $0.name == descriptor.name }) {
            self[index].samples.append(sample)
        } else {
            append(MetricFamily(descriptor.kind, descriptor.name, descriptor.help, [sample]))
        }
    }
}
