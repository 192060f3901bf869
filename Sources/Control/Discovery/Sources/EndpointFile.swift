import DNS
import Policy

/// The format of a file that lists endpoints: YAML, and so JSON too.
///
/// A list, or a mapping whose `endpoints` is the list. An element is an address (`10.0.0.1:50051`, `"[fd00::1]:50051"`,
/// or without the port where the cluster has one), or a mapping with `address`, and perhaps `weight`, `priority` and
/// `attributes`. Values are taken as they stand: there are no variables.
enum EndpointFile {
    /// Larger files are refused.
    static let maxBytes = 4 << 20
    /// Longer lists are refused.
    static let maxEndpoints = 10_000

    /// Reads the content of a file.
    /// - Parameters:
    ///   - bytes: the whole content.
    ///   - file: the name that diagnostics give it.
    /// - Returns: the endpoints in the order of the file; perhaps none.
    /// - Throws: every error with its place.
    static func parse(bytes: [UInt8], file: String) throws(InvalidConfiguration) -> [DiscoveredEndpoint] {
        let source = try SourceText(bytes: bytes, file: file, atMost: maxBytes)
        var log = DiagnosticLog(source: source)
        guard let root = YAMLComposer.compose(source, log: &log) else { throw InvalidConfiguration(log.sorted()) }
        var reading = ConfigurationReading(log: log, environment: nil)
        var list = EndpointList()
        switch root.content {
        case .sequence(let elements):
            list.read(elements, &reading)
        case .mapping:
            reading.read(root, as: EndpointList.fields, into: &list, path: "")
        case .scalar:
            let hint = "write '- 10.0.0.1:50051' for each endpoint, or [] for none"
            reading.log.error("expected a list of endpoints, found \(root.noun)", at: root.position, hint: hint)
        }
        guard !reading.log.hasErrors else { throw InvalidConfiguration(reading.log.sorted()) }
        return list.endpoints
    }
}

/// The endpoints of a file while it is read.
private struct EndpointList {
    private(set) var endpoints: [DiscoveredEndpoint] = []
    private var firstLines: [EndpointHost: Int] = [:]

    /// The keys of the file where it is a mapping.
    static let fields: [Field<EndpointList>] = [
        Field("endpoints", isRequired: true) { node, place, list, reading in
            if case .sequence(let elements) = node.content {
                list.read(elements, &reading)
            } else {
                let hint = "begin each endpoint with '- ', or write [] for none"
                reading.refuse(place, "expected a list, found \(node.noun)", at: node.position, hint: hint)
            }
        }
    ]

    mutating func read(_ elements: [ConfigNode], _ reading: inout ConfigurationReading) {
        guard elements.count <= EndpointFile.maxEndpoints else {
            let message = "\(elements.count) endpoints are more than the \(EndpointFile.maxEndpoints) that are read"
            reading.log.error(message, at: elements[EndpointFile.maxEndpoints].position)
            return
        }
        endpoints.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            let place = "endpoints[\(index)]"
            guard let item = EndpointItem(reading: element, place, &reading), let address = item.address else {
                continue
            }
            let position = reading.position(nearest: "\(place).address") ?? element.position
            if let line = firstLines[address] {
                reading.log.error("\(place): \(address) is listed twice", at: position, hint: "first on line \(line)")
                continue
            }
            firstLines[address] = position.line
            endpoints.append(DiscoveredEndpoint(host: address.host, port: address.port, traits: item.traits))
        }
    }
}

/// One element of the list.
private struct EndpointItem {
    private(set) var address: EndpointHost?
    private(set) var traits = EndpointTraits()

    /// Nil when nothing of the element can be used; the reason has been told.
    init?(reading node: ConfigNode, _ place: String, _ reading: inout ConfigurationReading) {
        switch node.content {
        case .scalar:
            reading.found(place, at: node.position)
            guard let address = reading.value(of: node, as: .endpointHost, path: place) else { return nil }
            self.address = address
        case .mapping:
            reading.read(node, as: Self.fields, into: &self, path: place)
        case .sequence:
            let hint = "quote an IPv6 address: \"[fd00::1]:50051\""
            reading.refuse(place, "expected an address or a mapping, found a list", at: node.position, hint: hint)
            return nil
        }
    }

    private static let fields: [Field<EndpointItem>] = [
        Field("address", isRequired: true) { node, place, item, reading in
            item.address = reading.value(of: node, as: .endpointHost, path: place)
        },
        .scalar("weight", \.traits.weight, .integer(1...65_535)),
        .scalar("priority", \.traits.priority, .integer(0...65_535)),
        Field("attributes") { node, place, item, reading in
            for entry in reading.entries(of: node, path: place) ?? [] {
                let entryPlace = "\(place).\(entry.key)"
                do throws(ValueSyntaxError) {
                    try checkName(entry.key)
                } catch {
                    reading.refuse(entryPlace, error.message, at: entry.keyPosition, hint: error.hint)
                }
                let value = reading.value(of: entry.value, as: .text, path: entryPlace)
                if let value { item.traits.attributes[entry.key] = value }
            }
        },
    ]
}

/// An address that may come without its port.
private struct EndpointHost: Hashable, CustomStringConvertible {
    /// An IPv4 or IPv6 literal without brackets, in its canonical form.
    let host: String
    let port: Int?

    var description: String {
        if let port { return EndpointAddress(host: host, port: port).description }
        return host
    }
}

extension ValueSyntax<EndpointHost> {
    /// `10.0.0.1:50051`, `[fd00::1]:50051`, or either without the port.
    fileprivate static let endpointHost = ValueSyntax("an address") { (text) throws(ValueSyntaxError) in
        let parts = try HostAndPort(parsing: text, ports: 1...65_535)
        return EndpointHost(host: try parts.reachableAddress(of: text).description, port: parts.port)
    } render: {
        yamlText($0.description)
    }
}

extension ValueSyntax<String> {
    /// Any text.
    fileprivate static let text = ValueSyntax("a text") { (text) throws(ValueSyntaxError) in
        text
    } render: {
        yamlText($0)
    }
}
