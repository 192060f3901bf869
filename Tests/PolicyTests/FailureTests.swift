import Testing

@testable import Policy

@Suite("Failures and what callers hear of them")
struct FailureTests {
    /// The error table of the documentation, row by row.
    private static let table: [(kind: Failure.Kind, grpc: Int, http: Int, flag: String)] = [
        (.noRoute, 12, 404, "NR"),
        (.noEndpoint, 14, 503, "UH"),
        (.connectFailure, 14, 503, "UF"),
        (.connectionLost, 14, 502, "UC"),
        (.upstreamProtocolError, 14, 502, "UPE"),
        (.deadlineExceeded, 4, 504, "UT"),
        (.circuitOpen, 14, 503, "UO"),
        (.overload, 14, 503, "OM"),
        (.rateLimited, 8, 429, "RL"),
        (.requestTooLarge, 8, 413, "-"),
        (.requestHeadersTooLarge, 8, 431, "-"),
        (.responseHeadersTooLarge, 8, 502, "-"),
        (.methodRefused, 12, 405, "-"),
        (.draining, 14, 503, "-"),
        (.faultInjected, 14, 503, "FI"),
    ]

    @Test("every kind has its gRPC status, HTTP status and flag", arguments: table)
    func row(kind: Failure.Kind, grpc: Int, http: Int, flag: String) {
        #expect(kind.grpcStatus.rawValue == grpc)
        #expect(kind.httpStatus == http)
        #expect(kind.flag == flag)
    }

    @Test("the table is complete")
    func complete() {
        #expect(Set(Self.table.map(\.kind)) == Set(Failure.Kind.allCases))
    }

    @Test("only statuses that a gRPC library may make up are made up here (gRFC A54)")
    func alphabet() {
        let allowed: Set = [1, 4, 7, 8, 12, 13, 14, 16]
        #expect(Failure.Kind.allCases.allSatisfy { allowed.contains($0.grpcStatus.rawValue) })
    }

    @Test("reasons are words for machines, each for one kind")
    func reasons() {
        let reasons = Failure.Kind.allCases.map(\.reason)
        #expect(Set(reasons).count == reasons.count)
        #expect(reasons.allSatisfy { reason in reason.utf8.allSatisfy { $0 == 0x5f || $0 >= 0x61 && $0 <= 0x7a } })
    }

    @Test("gRPC's seventeen statuses have their numbers and names")
    func statuses() {
        let names = [
            "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
            "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
            "UNIMPLEMENTED",
            "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
        ]
        #expect(GRPCStatus.allCases.map(\.rawValue) == Array(0...16))
        #expect(GRPCStatus.allCases.map(\.name) == names)
    }
}
