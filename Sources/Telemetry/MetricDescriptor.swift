/// Name, kind, help and fixed labels of one series, as Prometheus writes them.
package struct MetricDescriptor: Sendable {
    package enum Kind: String, Sendable {
        case counter, gauge
    }

    package let name: String
    package let kind: Kind
    package let help: String
    /// In the order of writing.
    package let labels: [(name: String, value: String)]

    package static func counter(
        _ name: String, _ help: String, _ labels: KeyValuePairs<String, String> = [:]
    ) -> MetricDescriptor {
        MetricDescriptor(name: name, kind: .counter, help: help, labels: labels.map { ($0, $1) })
    }

    package static func gauge(
        _ name: String, _ help: String, _ labels: KeyValuePairs<String, String> = [:]
    ) -> MetricDescriptor {
        MetricDescriptor(name: name, kind: .gauge, help: help, labels: labels.map { ($0, $1) })
    }
}
