import Testing

@testable import Control
@testable import Policy

@Suite("The report on clusters")
struct ClusterReportTests {
    @Test(
        "an ejected endpoint tells how long it still is, and none of the others does",
        arguments: [
            (1_000_000_000, "\"ejected_for_seconds\": 30.0"), (30_500_000_000, "\"ejected_for_seconds\": 0.5"),
            (90_000_000_000, "\"ejected_for_seconds\": 0.0"),
        ] as [(Int64, String)])
    func ejection(now: Int64, expected: String) {
        let endpoint = Endpoint(address: EndpointAddress(host: "10.0.0.3", port: 50051))
        let cluster = ClusterStatus.test("users", endpoints: [endpoint], sources: [.fixed])
        #expect(ClusterReport.json([cluster], now: now).rendered().contains("\"ejected_for_seconds\": null"))
        #expect(endpoint.outlier.eject(now: 1_000_000_000, OutlierSettings()) == 30_000_000_000)
        #expect(ClusterReport.json([cluster], now: now).rendered().contains(expected))
    }
}
