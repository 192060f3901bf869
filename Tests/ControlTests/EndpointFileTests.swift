import Policy
import Testing

@testable import Control

@Suite("The format of a file of endpoints", .timeLimit(.minutes(1)))
struct EndpointFileTests {
    private static func endpoint(
        _ host: String, _ port: Int? = nil, weight: Int = 1, priority: Int = 0, _ attributes: [String: String] = [:]
    ) -> DiscoveredEndpoint {
        DiscoveredEndpoint(
            host: host, port: port,
            traits: EndpointTraits(weight: weight, priority: priority, attributes: attributes))
    }

    private func parse(_ text: String) throws -> [DiscoveredEndpoint] {
        try EndpointFile.parse(bytes: Array(text.utf8), file: "tasks.yaml")
    }

    @Test(
        "lists and mappings, YAML and JSON",
        arguments: [
            ("- 10.0.0.1:50051\n- 10.0.0.2:50052\n", [endpoint("10.0.0.1", 50_051), endpoint("10.0.0.2", 50_052)]),
            ("endpoints:\n- 10.0.0.1:50051\n", [endpoint("10.0.0.1", 50_051)]),
            ("endpoints: [10.0.0.1]", [endpoint("10.0.0.1")]),
            ("[\"10.0.0.1:1\", \"[fd00::0:1]:2\"]", [endpoint("10.0.0.1", 1), endpoint("fd00::1", 2)]),
            ("- \"[fd00::1]\"\n- '[::ffff:10.0.0.1]:5'", [endpoint("fd00::1"), endpoint("10.0.0.1", 5)]),
            (
                "- {address: 10.0.0.1:1, weight: 65535, priority: 65535, attributes: {zone: a, version: 42, on: off}}",
                [
                    endpoint(
                        "10.0.0.1", 1, weight: 65_535, priority: 65_535, ["zone": "a", "version": "42", "on": "off"])
                ]
            ),
            (
                "{\"endpoints\": [{\"address\": \"10.0.0.1:1\", \"weight\": 3, \"attributes\": {\"price\": \"${5} $$\"}}]}",
                [endpoint("10.0.0.1", 1, weight: 3, ["price": "${5} $$"])]
            ),
            (
                "- &a 10.0.0.1:1\n- {address: 10.0.0.1:2, attributes: ~}",
                [endpoint("10.0.0.1", 1), endpoint("10.0.0.1", 2)]
            ),
            ("- 10.0.0.1:1\n- 10.0.0.1\n", [endpoint("10.0.0.1", 1), endpoint("10.0.0.1")]),
            ("[]", []), ("endpoints: []", []), ("{endpoints: []}", []),
        ])
    func good(text: String, endpoints: [DiscoveredEndpoint]) throws {
        #expect(try parse(text) == endpoints)
    }

    @Test(
        "what is wrong is told with its place",
        arguments: [
            ("", ["tasks.yaml:1:1: the file is empty"]),
            ("# none\n", ["tasks.yaml:1:1: the file is empty"]),
            (
                "10.0.0.1:50051",
                [
                    """
                    tasks.yaml:1:1: expected a list of endpoints, found a single value (write '- 10.0.0.1:50051' \
                    for each endpoint, or [] for none)
                    """
                ]
            ),
            (
                "endpoints:",
                [
                    """
                    tasks.yaml:1:11: endpoints: expected a list, found nothing (begin each endpoint with '- ', or \
                    write [] for none)
                    """
                ]
            ),
            (
                "endpoint: [10.0.0.1:1]",
                [
                    "tasks.yaml:1:1: the file has no 'endpoints'",
                    "tasks.yaml:1:1: unknown key 'endpoint' at the top level (did you mean 'endpoints'?)",
                ]
            ),
            (
                "- 10.0.0.1:1\n- users.local:1\n- 10.0.0.300:1\n-\n",
                [
                    """
                    tasks.yaml:2:3: endpoints[1]: 'users.local' is not an IP address (names are resolved only in \
                    dns:// URLs)
                    """,
                    """
                    tasks.yaml:3:3: endpoints[2]: '10.0.0.300' is not an IP address (names are resolved only in \
                    dns:// URLs)
                    """,
                    "tasks.yaml:4:2: endpoints[3]: expected an address, found nothing",
                ]
            ),
            (
                "- fd00::1",
                ["tasks.yaml:1:3: endpoints[0]: 'fd00::1' has more than one ':' (write IPv6 as [::1]:15001)"]
            ),
            (
                "- [fd00::1]:50051",
                [
                    """
                    tasks.yaml:1:12: YAML syntax: did not find expected '-' indicator while parsing a block collection \
                    (quote an address that begins with '[')
                    """
                ]
            ),
            (
                "- 10.0.0.1: 50051",
                [
                    "tasks.yaml:1:3: endpoints[0] has no 'address'",
                    """
                    tasks.yaml:1:3: unknown key '10.0.0.1' in endpoints[0] (expected address, weight, priority, \
                    attributes)
                    """,
                ]
            ),
            (
                "- [fd00::1]",
                [
                    """
                    tasks.yaml:1:3: endpoints[0]: expected an address or a mapping, found a list (quote an IPv6 \
                    address: "[fd00::1]:50051")
                    """
                ]
            ),
            (
                "- 10.0.0.1:0\n- 0.0.0.0:1\n",
                [
                    "tasks.yaml:1:3: endpoints[0]: '10.0.0.1:0': port '0' is out of range (from 1 to 65535)",
                    "tasks.yaml:2:3: endpoints[1]: '0.0.0.0:1': nobody can be reached at 0.0.0.0",
                ]
            ),
            (
                "- 10.0.0.1:1\n- {address: \"[::ffff:10.0.0.1]:1\"}\n- 10.0.0.1:1",
                [
                    "tasks.yaml:2:13: endpoints[1]: 10.0.0.1:1 is listed twice (first on line 1)",
                    "tasks.yaml:3:3: endpoints[2]: 10.0.0.1:1 is listed twice (first on line 1)",
                ]
            ),
            (
                "- {addres: 10.0.0.1:1, weight: 0}",
                [
                    "tasks.yaml:1:3: endpoints[0] has no 'address'",
                    "tasks.yaml:1:4: unknown key 'addres' in endpoints[0] (did you mean 'address'?)",
                    "tasks.yaml:1:32: endpoints[0].weight: '0' is out of range (from 1 to 65535)",
                ]
            ),
            (
                "- address: 10.0.0.1:1\n  priority: -1\n  attributes: {a b: c, d: [], e: ~}\n",
                [
                    "tasks.yaml:2:13: endpoints[0].priority: '-1' is out of range (from 0 to 65535)",
                    """
                    tasks.yaml:3:16: endpoints[0].attributes.a b: 'a b' is not a name (names have no spaces and no \
                    quotes)
                    """,
                    "tasks.yaml:3:27: endpoints[0].attributes.d: expected a text, found a list",
                    "tasks.yaml:3:34: endpoints[0].attributes.e: expected a text, found nothing",
                ]
            ),
            (
                "- 10.0.0.1:1\n---\n- 10.0.0.1:1",
                ["tasks.yaml:2:1: a second YAML document begins here (a file holds one document)"]
            ),
            (
                "- \"10.0.0.1:1",
                ["tasks.yaml:1:14: YAML syntax: found unexpected end of stream while scanning a quoted scalar"]
            ),
            ("- \u{1}", ["tasks.yaml:1:3: control character U+0001 is not allowed"]),
            ("- \"\\e[31m\"", ["tasks.yaml:1:3: endpoints[0]: the value holds the control character U+1B"]),
        ])
    func bad(text: String, summaries: [String]) {
        let error = #expect(throws: InvalidConfiguration.self) { try parse(text) }
        #expect(error?.diagnostics.map(\.summary) == summaries)
    }

    @Test("ten thousand endpoints are read, one more is not")
    func most() throws {
        let lines = (0...EndpointFile.maxEndpoints).map { "- 10.0.\($0 / 256).\($0 % 256):1\n" }
        #expect(try parse(lines.dropLast().joined()).count == EndpointFile.maxEndpoints)
        let error = #expect(throws: InvalidConfiguration.self) { try parse(lines.joined()) }
        let summary = "tasks.yaml:10001:3: 10001 endpoints are more than the 10000 that are read"
        #expect(error?.diagnostics.map(\.summary) == [summary])
    }

    @Test("more than 4 MiB are not looked at")
    func tooLarge() {
        let bytes = [UInt8](repeating: UInt8(ascii: "#"), count: EndpointFile.maxBytes + 1)
        let error = #expect(throws: InvalidConfiguration.self) {
            try EndpointFile.parse(bytes: bytes, file: "tasks.yaml")
        }
        let summary = "tasks.yaml: the file is larger than 4 MiB, the most that is read"
        #expect(error?.diagnostics.map(\.summary) == [summary])
    }
}
