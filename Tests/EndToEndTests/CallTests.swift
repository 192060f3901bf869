import Testing

/// Which client speaks to which server.
struct Pairing: Sendable, CustomTestStringConvertible {
    var client: Flavour
    var server: Flavour

    static let all = Flavour.allCases.flatMap { client in
        Flavour.allCases.map { Pairing(client: client, server: $0) }
    }

    var testDescription: String { "\(client.rawValue) client, \(server.rawValue) server" }
}

extension EndToEnd {
    @Suite("Calls")
    struct Calls {
        @Test("All four call kinds go through, with none, one and many messages", arguments: Pairing.all)
        func kinds(_ pairing: Pairing) async throws {
            try await Mesh.with(.init(server: pairing.server)) { mesh in
                _ = try await mesh.call("kinds", client: pairing.client)
            }
        }

        @Test("Messages of 0 bytes to 4 MiB arrive byte for byte, in both directions", arguments: Pairing.all)
        func sizes(_ pairing: Pairing) async throws {
            try await Mesh.with(.init(server: pairing.server)) { mesh in
                _ = try await mesh.call("sizes", client: pairing.client)
            }
        }

        @Test("Compressed messages pass as they are")
        func compression() async throws {
            try await Mesh.with { mesh in
                _ = try await mesh.call("compression")
            }
        }

        @Test("Text and binary metadata pass in headers and trailers, long and empty values", arguments: Pairing.all)
        func metadata(_ pairing: Pairing) async throws {
            try await Mesh.with(.init(server: pairing.server)) { mesh in
                _ = try await mesh.call("metadata", client: pairing.client)
            }
        }

        @Test("Each status and each percent-encoded message passes unchanged", arguments: Flavour.allCases)
        func status(_ client: Flavour) async throws {
            try await Mesh.with { mesh in
                _ = try await mesh.call("status", client: client)
            }
        }

        @Test("Answers that are trailers only stay so")
        func trailersOnly() async throws {
            try await Mesh.with { mesh in
                _ = try await mesh.call("trailers_only")
            }
        }

        @Test("The health service of the tasks can be asked through the mesh")
        func health() async throws {
            try await Mesh.with { mesh in
                _ = try await mesh.call("health")
            }
        }
    }
}
