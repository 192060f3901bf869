// swift-tools-version: 6.2
import PackageDescription

/// Settings of every Swift target.
let strict: [SwiftSetting] = [
    // SE-0335: `any` is written where a value is boxed, so that a reader sees the cost.
    .enableUpcomingFeature("ExistentialAny"),
    // SE-0409: an import is internal unless it says otherwise; nghttp2's types cannot leak through a signature.
    .enableUpcomingFeature("InternalImportsByDefault"),
    // SE-0444: a member is visible only where its module is imported.
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// Settings of the targets on the path of a request.
let hot: [SwiftSetting] =
    strict + [
        // Dynamic exclusivity checks cost a tenth of a request. Debug builds, which all tests run on, keep them.
        .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))
    ]

/// Settings of ``HTTP2``: all its objects belong to one thread each, for their whole life, so that its references are
/// counted without locked instructions in release builds. For this the target must not touch an object that another thread may
/// hold: no global references, no loggers, no snapshots (`docs/decisions/0007-uncontended-reference-counts.md`).
let confined: [SwiftSetting] =
    hot + [
        .unsafeFlags(["-Xfrontend", "-assume-single-threaded"], .when(configuration: .release))
    ]

let package = Package(
    name: "ekiden",
    products: [
        .executable(name: "ekiden", targets: ["ekiden"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        // Tests only: a gRPC peer that nobody here wrote.
        .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.0"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.0"),
    ],
    targets: [
        // System libraries.
        .systemLibrary(
            name: "CNghttp2", pkgConfig: "libnghttp2",
            providers: [.apt(["libnghttp2-dev"]), .brew(["libnghttp2"])]),
        .systemLibrary(
            name: "CCares", pkgConfig: "libcares",
            providers: [.apt(["libc-ares-dev"]), .brew(["c-ares"])]),

        // Protocol: bytes in, events out; commands in, bytes out. No sockets, no clock, no locks.
        .target(
            name: "HTTP2",
            dependencies: ["CNghttp2", .product(name: "NIOCore", package: "swift-nio")],
            swiftSettings: confined),
        // DNS messages: bytes in, records out; no sockets, no clock.
        .target(name: "DNS", dependencies: ["Policy"], swiftSettings: strict),
        // Decisions: values and pure functions, and the snapshot that the workers work from.
        .target(name: "Policy", swiftSettings: hot),
        // Counters and their exposition.
        .target(name: "Telemetry", dependencies: ["Policy"], swiftSettings: hot),
        // The path of a request: workers, connections, exchanges, pools.
        .target(
            name: "DataPlane",
            dependencies: [
                "HTTP2", "Policy", "Telemetry",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: hot),
        // Configuration, discovery, admin: everything beside the path of a request.
        .target(
            name: "Control",
            dependencies: [
                "CCares", "DNS", "HTTP2", "Policy", "Telemetry",
                .product(name: "Yams", package: "Yams"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        // The program: verbs and wiring.
        .executableTarget(
            name: "ekiden",
            dependencies: [
                "Control", "DNS", "DataPlane", "HTTP2", "Policy", "Telemetry",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),

        .target(
            name: "TestSupport",
            dependencies: [
                "Policy",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Tests/TestSupport", swiftSettings: strict),
        .testTarget(name: "PolicyTests", dependencies: ["Policy", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "DNSTests", dependencies: ["DNS", "Policy", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "TelemetryTests", dependencies: ["Telemetry", "Policy"], swiftSettings: strict),
        .testTarget(
            name: "HTTP2Tests",
            dependencies: ["HTTP2", "CNghttp2", "TestSupport", .product(name: "NIOCore", package: "swift-nio")],
            swiftSettings: strict),
        .testTarget(
            name: "DataPlaneTests",
            dependencies: [
                "CNghttp2", "DataPlane", "HTTP2", "Policy", "Telemetry", "TestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "ControlTests",
            dependencies: [
                "Control", "DNS", "HTTP2", "Policy", "Telemetry", "TestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: strict),
        .testTarget(name: "TidyTests", swiftSettings: strict),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            exclude: ["peers"],
            swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)
