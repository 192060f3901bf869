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
    /// What one step of the cell is in the unit of the name: 1e-9 where nanoseconds are counted and seconds shown.
    package var scale = 1.0

    package static func counter(
        _ name: String, _ help: String, _ labels: KeyValuePairs<String, String> = [:]
    ) -> MetricDescriptor {
        MetricDescriptor(name: name, kind: .counter, help: help, labels: labels.map { ($0, $1) })
    }

    /// - Parameter name: ends in `_seconds_total`; the cell counts nanoseconds.
    package static func seconds(_ name: String, _ help: String) -> MetricDescriptor {
        MetricDescriptor(name: name, kind: .counter, help: help, labels: [], scale: 1e-9)
    }

    package static func gauge(
        _ name: String, _ help: String, _ labels: KeyValuePairs<String, String> = [:]
    ) -> MetricDescriptor {
        MetricDescriptor(name: name, kind: .gauge, help: help, labels: labels.map { ($0, $1) })
    }
}
