import Policy
import Telemetry
import Testing

@Suite("Prometheus text")
struct PrometheusTextTests {
    @Test("each family has HELP and TYPE once, and its series stand together")
    func families() throws {
        let registry = MetricsRegistry()
        _ = registry.makeWorkerBlock()
        _ = registry.makeClusterBlock(cluster: "users")
        _ = registry.makeClusterBlock(cluster: "orders")
        let text = PrometheusText.write(registry.families())
        let read = try ExpositionReader(text)

        #expect(read.families["ekiden_h2_connections_killed_total"]?.samples.count == 12)
        #expect(read.families["ekiden_replays_total"]?.samples.count == 4)
        #expect(read.names.count == Set(read.names).count)
        for metric in WorkerMetric.allCases {
            #expect(read.families[metric.descriptor.name]?.kind == metric.descriptor.kind.rawValue)
        }
        for metric in ClusterMetric.allCases {
            #expect(read.families[metric.descriptor.name]?.help == metric.descriptor.help)
        }
    }

    @Test("what workers count is summed over them")
    func sums() throws {
        let registry = MetricsRegistry()
        for amount in [1, 2, 4] {
            registry.makeWorkerBlock().add(WorkerMetric.killedFlood.rawValue, amount)
            registry.makeClusterBlock(cluster: "users").add(ClusterMetric.replaysRefused.rawValue, amount)
        }
        let read = try ExpositionReader(PrometheusText.write(registry.families()))
        #expect(read.value("ekiden_h2_connections_killed_total", ["reason": "flood"]) == 7)
        #expect(read.value("ekiden_replays_total", ["cluster": "users", "reason": "refused"]) == 7)
        #expect(read.value("ekiden_replays_total", ["cluster": "users", "reason": "unsent"]) == 0)
    }

    @Test("a status that never occurred has no series, but OK always has one")
    func statuses() throws {
        let registry = MetricsRegistry()
        let cells = registry.makeClusterBlock(cluster: "users")
        var read = try ExpositionReader(PrometheusText.write(registry.families()))
        #expect(read.families["ekiden_requests_total"]?.samples.count == 1)
        #expect(read.value("ekiden_requests_total", ["cluster": "users", "grpc_status": "0"]) == 0)
        #expect(read.families["ekiden_http_requests_total"] == nil)
        #expect(read.families["ekiden_local_replies_total"] == nil)

        cells.add(ClusterMetric.cell(grpcStatus: 14), 3)
        cells.add(ClusterMetric.cell(httpStatus: 204))
        cells.add(ClusterMetric.cell(localReply: .noEndpoint))
        read = try ExpositionReader(PrometheusText.write(registry.families()))
        #expect(read.value("ekiden_requests_total", ["cluster": "users", "grpc_status": "14"]) == 3)
        #expect(read.value("ekiden_http_requests_total", ["cluster": "users", "code": "2xx"]) == 1)
        let reply = ["cluster": "users", "reason": "no_endpoint", "flag": "UH"]
        #expect(read.value("ekiden_local_replies_total", reply) == 1)
    }

    @Test("every cell of a cluster's block has one series")
    func everyCell() throws {
        let registry = MetricsRegistry()
        let cells = registry.makeClusterBlock(cluster: "users")
        for cell in 0..<ClusterMetric.cellCount { cells.add(cell, cell + 1) }
        let read = try ExpositionReader(PrometheusText.write(registry.families()))
        let values = read.families.values.flatMap(\.samples).filter { $0.labels["cluster"] == "users" }.map(\.value)
        #expect(values.sorted() == (1...ClusterMetric.cellCount).map(Double.init))
    }

    @Test("two scrapes of equal counts are the same text")
    func stableOrder() {
        let registry = MetricsRegistry()
        for name in ["users", "orders", "carts", "prices"] { _ = registry.makeClusterBlock(cluster: name) }
        #expect(PrometheusText.write(registry.families()) == PrometheusText.write(registry.families()))
    }

    @Test(
        "label values come back as they were",
        arguments: ["", "plain", "a\"b", "a\\b", "a\\nb", "a\nb", "a\r\nb", "{x=\"y\"} 1", "駅伝", "\\"])
    func labels(value: String) throws {
        let family = MetricFamily(.gauge, "g", "Help.", [.init(1, ["a": value, "b": "2"])])
        let read = try ExpositionReader(PrometheusText.write([family]))
        #expect(read.value("g", ["a": value, "b": "2"]) == 1)
    }

    @Test("a help text stays on its line")
    func help() throws {
        let text = "A \"quoted\" path C:\\new\r\nand a second line."
        let read = try ExpositionReader(PrometheusText.write([MetricFamily(.gauge, "g", text, [.init(1)])]))
        #expect(read.families["g"]?.help == text)
    }

    @Test(
        "values are written as Prometheus reads them",
        arguments: [
            (0, "0"), (-3, "-3"), (1.5, "1.5"), (0.000_001, "1e-06"), (9_007_199_254_740_991, "9007199254740991"),
            (1e300, "1e+300"), (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"),
        ])
    func values(value: Double, expected: String) {
        let text = PrometheusText.write([MetricFamily(.gauge, "g", "Help.", [.init(value)])])
        #expect(text == "# HELP g Help.\n# TYPE g gauge\ng \(expected)\n")
    }
}
